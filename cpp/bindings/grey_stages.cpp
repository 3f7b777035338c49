// stages.to_grey: the grey image the tracker works on.
#include "bindings.h"
#include "openface/core/error.h"
#include "openface/image/grey.h"

namespace pyopenface {

namespace {

py::array_t<std::uint8_t> to_array(const openface::ImageU8& image) {
    py::array_t<std::uint8_t> result({image.height(), image.width()});
    std::copy(image.data(), image.data() + result.size(), result.mutable_data());
    return result;
}

openface::ImageView<std::uint16_t> wide_view(const py::array_t<std::uint16_t, py::array::c_style>& image) {
    if (image.ndim() != 2 && image.ndim() != 3)
        throw openface::Error(openface::Error::Code::input,
                              "image: must have shape (H, W) or (H, W, channels)");
    const int channels = image.ndim() == 2 ? 1 : int(image.shape(2));
    return {image.data(), int(image.shape(1)), int(image.shape(0)), channels, image.shape(1) * channels};
}

py::array_t<std::uint8_t> grey_of(const py::array& image) {
    openface::ImageU8 grey;
    if (py::isinstance<py::array_t<std::uint16_t>>(image)) {
        const auto wide = py::array_t<std::uint16_t, py::array::c_style>::ensure(image);
        openface::to_grey(wide_view(wide), grey);
    } else {
        openface::to_grey(view_of_image(image, "image"), grey);
    }
    return to_array(grey);
}

}  // namespace

void register_grey_stages(py::module_& stages) {
    stages.def("to_grey", &grey_of, py::arg("image"));
}

}  // namespace pyopenface
