// openface::Error becomes the class of pyopenface.errors that its code names.
#include <string_view>

#include "bindings.h"
#include "openface/core/error.h"

namespace pyopenface {

void register_errors(py::module_&) {
    py::register_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) std::rethrow_exception(pointer);
        } catch (const openface::Error& error) {
            const char* name = error.code() == openface::Error::Code::model   ? "ModelError"
                               : error.code() == openface::Error::Code::input ? "InputError"
                                                                              : "StateError";
            const py::object type = py::module_::import("pyopenface.errors").attr(name);
            // Messages may quote bytes of damaged files, which need not be UTF-8.
            const std::string_view message = error.what();
            PyObject* text = PyUnicode_DecodeUTF8(message.data(), py::ssize_t(message.size()), "replace");
            PyErr_SetObject(type.ptr(), text);
            Py_XDECREF(text);
        }
    });
}

}  // namespace pyopenface
