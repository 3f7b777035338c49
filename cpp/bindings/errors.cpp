// openface::Error becomes the class of pyopenface.errors that its code names.
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
            PyErr_SetString(type.ptr(), error.what());
        }
    });
}

}  // namespace pyopenface
