// stages.Validator: the confidence of landmarks and what is computed on the way.
#include "bindings.h"
#include "openface/core/error.h"
#include "openface/landmark_detector/validator.h"

namespace pyopenface {

namespace {

using openface::Validator;

// A view's pixel values put back into its reference frame; 0 outside the mask.
py::array_t<float> frame_of(const Validator& validator, int view,
                            const openface::AlignedVector<float>& values) {
    py::array_t<float> frame({validator.height(view), validator.width(view)});
    std::fill(frame.mutable_data(), frame.mutable_data() + frame.size(), 0.0f);
    std::size_t i = 0;
    for (const int place : validator.pixel_places(view)) frame.mutable_data()[place] = values[i++];
    return frame;
}

class ValidatorStage {
  public:
    ValidatorStage(const std::filesystem::path& path, int landmark_count)
        : validator_(Validator::load(path, landmark_count)), landmark_count_(landmark_count) {}

    float confidence(const py::array& grey, const py::handle& rotation, const py::handle& landmarks) {
        const auto angles = float_array(rotation, "rotation", 3);
        const auto points = float_array(landmarks, "landmarks", 2 * landmark_count_);
        openface::GlobalParameters global;
        global.rx = angles.data()[0];
        global.ry = angles.data()[1];
        global.rz = angles.data()[2];
        const openface::ViewU8 view = view_of_image(grey, "grey");
        if (view.channels != 1)
            throw openface::Error(openface::Error::Code::input, "validation needs a grey image");
        grey_.begin(view);
        return validator_->confidence(global, grey_, points.data(), scratch_);
    }

    py::dict trace(const py::array& grey, const py::handle& rotation, const py::handle& landmarks) {
        py::dict result;
        result["confidence"] = confidence(grey, rotation, landmarks);
        result["view"] = scratch_.view;
        if (scratch_.outputs == nullptr) return result;
        result["region"] = to_array(std::span<const int>(scratch_.region));
        result["warped"] = frame_of(*validator_, scratch_.view, scratch_.warped);
        const std::size_t pixels = std::size_t(validator_->pixel_count(scratch_.view));
        result["normalised"] = to_array(std::span<const float>(scratch_.normalised.data(), pixels));
        result["outputs"] = to_array(
            std::span<const float>(scratch_.outputs, std::size_t(validator_->outputs(scratch_.view))));
        return result;
    }

  private:
    std::shared_ptr<const Validator> validator_;
    int landmark_count_;
    openface::GreyPicture grey_;
    openface::ValidatorScratch scratch_;
};

}  // namespace

void register_validator_stages(py::module_& stages) {
    py::class_<ValidatorStage>(stages, "Validator")
        .def(py::init<const std::filesystem::path&, int>(), py::arg("path"), py::arg("landmark_count") = 68)
        .def("confidence", &ValidatorStage::confidence, py::arg("grey"), py::arg("rotation"),
             py::arg("landmarks"))
        .def("trace", &ValidatorStage::trace, py::arg("grey"), py::arg("rotation"), py::arg("landmarks"));
}

}  // namespace pyopenface
