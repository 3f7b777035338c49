// stages.to_grey, stages.GreyPicture: the grey image the tracker works on.
#include "bindings.h"
#include "openface/core/error.h"
#include "openface/image/grey.h"

namespace pyopenface {

namespace {

py::array_t<std::uint8_t> to_array(const openface::ViewU8& image) {
    py::array_t<std::uint8_t> result({image.height, image.width});
    std::copy(image.data, image.data + result.size(), result.mutable_data());
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
    if (py::isinstance<py::array_t<std::uint16_t>>(image)) {
        const auto wide = py::array_t<std::uint16_t, py::array::c_style>::ensure(image);
        openface::ImageU8 grey;
        openface::to_grey(wide_view(wide), grey);
        return to_array(grey.view());
    }
    openface::GreyPicture grey;
    grey.begin(view_of_image(image, "image"));
    return to_array(grey.view(openface::everything));
}

// One picture after the other, the earlier one's pixels being where the later one isn't converted.
class GreyPictureStage {
  public:
    void begin(const py::array& image) {
        image_ = image;
        grey_.begin(view_of_image(image_, "image"));
    }
    py::array_t<std::uint8_t> view(float left, float top, float right, float bottom) {
        return to_array(grey_.view({left, top, right, bottom}));
    }

  private:
    py::array image_;
    openface::GreyPicture grey_;
};

}  // namespace

void register_grey_stages(py::module_& stages) {
    stages.def("to_grey", &grey_of, py::arg("image"));
    py::class_<GreyPictureStage>(stages, "GreyPicture")
        .def(py::init<>())
        .def("begin", &GreyPictureStage::begin, py::arg("image"))
        .def("view", &GreyPictureStage::view, py::arg("left"), py::arg("top"), py::arg("right"),
             py::arg("bottom"));
}

}  // namespace pyopenface
