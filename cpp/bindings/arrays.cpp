#include "bindings.h"
#include "openface/core/error.h"

namespace pyopenface {

using openface::Error;

namespace {
std::string describe(const py::array& array) {
    std::string text = py::str(array.dtype()).cast<std::string>() + " (";
    for (py::ssize_t i = 0; i < array.ndim(); ++i)
        text += (i > 0 ? ", " : "") + std::to_string(array.shape(i)) + (array.ndim() == 1 ? "," : "");
    return text + ")";
}
}  // namespace

openface::ViewU8 view_of_image(const py::array& image, const char* argument) {
    const auto refuse = [&](const std::string& cause) {
        throw Error(Error::Code::input, std::string(argument) + ": " + cause + "; got " + describe(image));
    };
    if (!py::isinstance<py::array_t<std::uint8_t>>(image)) refuse("an image must be of dtype uint8");
    if (image.ndim() != 2 && image.ndim() != 3) refuse("an image must have shape (H, W) or (H, W, channels)");
    const py::ssize_t channels = image.ndim() == 2 ? 1 : image.shape(2);
    if (channels != 1 && channels != 3 && channels != 4)
        refuse("an image must have 1, 3 (B, G, R) or 4 channels");
    if (image.shape(0) > 65535 || image.shape(1) > 65535)
        refuse("an image must be at most 65535 pixels wide and high");
    const bool packed =
        image.size() == 0 || ((image.ndim() == 2 || image.strides(2) == 1 || channels == 1) &&
                              (image.strides(1) == channels || image.shape(1) == 1) &&
                              (image.strides(0) >= image.shape(1) * channels || image.shape(0) == 1));
    if (!packed)
        refuse(
            "the pixels of a row must follow each other in memory (numpy.ascontiguousarray makes such a "
            "copy)");
    return {static_cast<const std::uint8_t*>(image.data()), int(image.shape(1)), int(image.shape(0)),
            int(channels), image.size() == 0 ? 0 : std::ptrdiff_t(image.strides(0))};
}

py::array_t<float, py::array::c_style | py::array::forcecast> float_array(const py::handle& values,
                                                                          const char* argument,
                                                                          py::ssize_t size) {
    auto array = py::array_t<float, py::array::c_style | py::array::forcecast>::ensure(values);
    if (!array) {
        PyErr_Clear();
        throw Error(Error::Code::input, std::string(argument) + ": can't be read as an array of numbers");
    }
    if (size >= 0 && array.size() != size)
        throw Error(Error::Code::input, std::string(argument) + ": " + std::to_string(size) +
                                            " numbers expected, got " + describe(array));
    return array;
}

}  // namespace pyopenface
