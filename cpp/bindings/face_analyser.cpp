// _core.FaceAnalyser: the face analyser for one person, as the Python class of the same name wraps it.
//
// The engine's work runs without the GIL. A lock keeps an analyser that several threads share from being
// corrupted; their frames then simply count in the order in which they come.
#include "openface/face_analyser/face_analyser.h"

#include <array>
#include <mutex>

#include "bindings.h"
#include "gil.h"
#include "openface/core/error.h"

namespace pyopenface {

namespace {

using openface::AlignmentOptions;
using openface::Error;
using openface::FaceAnalyser;
using openface::FaceAnalyserModel;
using Landmarks = std::array<float, 2 * openface::face_landmark_count>;

// x of all, then y of all, from an array (68, 2) of positions.
Landmarks landmarks_of(const py::handle& values) {
    const auto array = float_array(values, "landmarks");
    if (array.ndim() != 2 || array.shape(0) != openface::face_landmark_count || array.shape(1) != 2)
        throw Error(Error::Code::input, "landmarks: an array of shape (68, 2) expected, got shape " +
                                            py::str(array.attr("shape")).cast<std::string>());
    Landmarks landmarks{};
    const float* xy = array.data();
    for (std::size_t i = 0; i < openface::face_landmark_count; ++i) {
        landmarks[i] = xy[2 * i];
        landmarks[i + openface::face_landmark_count] = xy[2 * i + 1];
    }
    return landmarks;
}

template <class T>
py::array_t<T> shaped(std::span<const T> values, std::vector<py::ssize_t> shape) {
    py::array_t<T> result(std::move(shape));
    std::copy(values.begin(), values.end(), result.mutable_data());
    return result;
}

py::array_t<std::uint8_t> pixels_of(const openface::ImageU8& image) {
    std::vector<py::ssize_t> shape{image.height(), image.width()};
    if (image.channels() > 1) shape.push_back(image.channels());
    return shaped(std::span(image.data(), std::size_t(image.stride()) * std::size_t(image.height())),
                  std::move(shape));
}

py::ssize_t length(const std::vector<openface::Predictor>& predictors) {
    return py::ssize_t(predictors.size());
}

py::tuple names(const std::vector<openface::Predictor>& predictors) {
    py::tuple result(predictors.size());
    for (std::size_t i = 0; i < predictors.size(); ++i) result[i] = predictors[i].name;
    return result;
}

class LockedAnalyser {
  public:
    LockedAnalyser(const std::filesystem::path& main_file, bool live, bool history)
        : analyser_(load(main_file), live, history) {}

    // (intensity, presence, aligned face, descriptor)
    py::tuple update(const py::array& image, const py::object& landmarks, bool success) {
        return run(image, landmarks, success, [&](const openface::ViewU8& frame, const Landmarks& points) {
            return analyser_.analyse(frame, points.data(), success);
        });
    }
    py::tuple analyse_image(const py::array& image, const py::object& landmarks) {
        return run(image, landmarks, true, [&](const openface::ViewU8& frame, const Landmarks& points) {
            return analyser_.analyse_static(frame, points.data());
        });
    }
    py::array_t<std::uint8_t> align(const py::array& image, const py::object& landmarks, bool success,
                                    int size, double scale, bool mask, bool grey) {
        const openface::ViewU8 frame = view_of_image(image, "image");
        const Landmarks points = success ? landmarks_of(landmarks) : Landmarks{};
        openface::ImageU8 aligned;
        unlocked([&] { analyser_.align(frame, points.data(), success, {size, scale, mask, grey}, aligned); });
        return pixels_of(aligned);
    }
    py::tuple finish(bool smooth) {
        openface::PostProcessed result;
        unlocked([&] { result = analyser_.finish(smooth); });
        const auto& predictors = analyser_.model().predictors();
        const auto frames = py::ssize_t(result.frames);
        return py::make_tuple(
            shaped(std::span<const double>(result.intensity), {frames, length(predictors.intensities())}),
            shaped(std::span<const double>(result.presence), {frames, length(predictors.presences())}));
    }
    py::bytes state() {
        std::vector<char> bytes;
        unlocked([&] { bytes = analyser_.state(); });
        return py::bytes(bytes.data(), bytes.size());
    }
    void restore(const py::bytes& state) {
        const std::string_view bytes = state;
        unlocked([&] { analyser_.restore(std::span(bytes.data(), bytes.size())); });
    }
    void reset(bool keep_calibration) {
        unlocked([&] { analyser_.reset(keep_calibration); });
    }
    py::tuple medians() {
        std::vector<double> appearance, geometry;
        unlocked([&] {
            const auto a = analyser_.appearance_median(), g = analyser_.geometry_median();
            appearance.assign(a.begin(), a.end());
            geometry.assign(g.begin(), g.end());
        });
        return py::make_tuple(to_array(std::span<const double>(appearance)),
                              to_array(std::span<const double>(geometry)));
    }
    std::size_t frames() {
        std::size_t count = 0;
        unlocked([&] { count = analyser_.frames(); });
        return count;
    }
    bool live() {
        bool live = false;
        unlocked([&] { live = analyser_.live(); });
        return live;
    }
    const FaceAnalyserModel& model() const { return analyser_.model(); }

  private:
    static std::shared_ptr<const FaceAnalyserModel> load(const std::filesystem::path& main_file) {
        const GilReleased released;
        return FaceAnalyserModel::load(main_file);
    }

    template <class Work>
    void unlocked(Work&& work) {
        const GilReleased released;
        const std::lock_guard<std::mutex> lock(mutex_);
        work();
    }

    template <class Work>
    py::tuple run(const py::array& image, const py::object& landmarks, bool success, Work&& work) {
        const openface::ViewU8 frame = view_of_image(image, "image");
        const Landmarks points = success ? landmarks_of(landmarks) : Landmarks{};
        std::vector<double> intensity, presence;
        std::vector<float> descriptor;
        openface::ImageU8 aligned;
        unlocked([&] {
            const openface::AnalysedFace face = work(frame, points);
            intensity.assign(face.intensity.begin(), face.intensity.end());
            presence.assign(face.presence.begin(), face.presence.end());
            descriptor.assign(face.fhog.begin(), face.fhog.end());
            analyser_.aligned_face(aligned);
        });
        constexpr int rows = openface::fhog::rows;
        return py::make_tuple(
            to_array(std::span<const double>(intensity)), to_array(std::span<const double>(presence)),
            pixels_of(aligned),
            shaped(std::span<const float>(descriptor), {rows, rows, openface::fhog::channels}));
    }

    FaceAnalyser analyser_;
    std::mutex mutex_;
};

}  // namespace

void register_face_analyser(py::module_& module) {
    py::class_<LockedAnalyser>(module, "FaceAnalyser")
        .def(py::init<const std::filesystem::path&, bool, bool>(), py::arg("main_file"),
             py::arg("live") = false, py::arg("history") = true)
        .def("update", &LockedAnalyser::update, py::arg("image"), py::arg("landmarks"), py::arg("success"))
        .def("analyse_image", &LockedAnalyser::analyse_image, py::arg("image"), py::arg("landmarks"))
        .def("align", &LockedAnalyser::align, py::arg("image"), py::arg("landmarks"), py::arg("success"),
             py::arg("size"), py::arg("scale"), py::arg("mask"), py::arg("grey"))
        .def("finish", &LockedAnalyser::finish, py::arg("smooth"))
        .def("state", &LockedAnalyser::state)
        .def("restore", &LockedAnalyser::restore, py::arg("state"))
        .def("reset", &LockedAnalyser::reset, py::arg("keep_calibration"))
        .def("medians", &LockedAnalyser::medians)
        .def_property_readonly("frames", &LockedAnalyser::frames)
        .def_property_readonly("live", &LockedAnalyser::live)
        .def_property_readonly(
            "dynamic", [](const LockedAnalyser& self) { return self.model().predictors().any_dynamic(); })
        .def_property_readonly("files", [](const LockedAnalyser& self) { return self.model().files(); })
        .def_property_readonly(
            "intensity_names",
            [](const LockedAnalyser& self) { return names(self.model().predictors().intensities()); })
        .def_property_readonly("presence_names", [](const LockedAnalyser& self) {
            return names(self.model().predictors().presences());
        });
}

}  // namespace pyopenface
