// LandmarkModel, LandmarkParameters, FaceTracking, Observer: the pipeline as the Python layer drives it. The
// GIL is released while the engine works; each object has a lock of its own, so calls from several threads
// take turns.
#include <algorithm>
#include <cmath>
#include <deque>
#include <mutex>

#include "bindings.h"
#include "gil.h"
#include "openface/core/error.h"
#include "openface/gaze_analyser/gaze.h"
#include "openface/landmark_detector/landmark_model.h"
#include "openface/pipeline/face_tracking.h"
#include "openface/pipeline/fitting_thread.h"
#include "openface/pipeline/observer.h"

namespace pyopenface {

namespace {

using openface::Box;
using openface::Error;
using openface::FaceAnalyserModel;
using openface::FaceTracking;
using openface::FittedFace;
using openface::LandmarkModel;
using openface::LandmarkParameters;
using openface::MtcnnDetector;
using openface::Observer;
using openface::Program;

std::vector<Box> boxes_from(const py::handle& boxes) {
    const auto values = float_array(boxes, "boxes");
    if (values.ndim() != 2 || values.shape(1) != 4) {
        if (values.size() == 0) return {};
        throw Error(Error::Code::input, "boxes: shape (k, 4) expected: x, y, width, height");
    }
    std::vector<Box> result;
    for (py::ssize_t i = 0; i < values.shape(0); ++i) {
        const float* v = values.data(i, 0);
        for (int k = 0; k < 4; ++k)
            if (!std::isfinite(v[k]))
                throw Error(Error::Code::input, "boxes: a value is not a finite number");
        if (!(v[2] > 0.0f && v[3] > 0.0f))
            throw Error(Error::Code::input, "boxes: width and height must be positive");
        // Images are at most 65535 pixels wide and high; far beyond, single precision has no room for a face.
        constexpr float largest = 1 << 17;
        if (std::fabs(v[0]) > largest || std::fabs(v[1]) > largest || v[2] > largest || v[3] > largest ||
            v[2] < 1.0f || v[3] < 1.0f)
            throw Error(
                Error::Code::input,
                "boxes: a box must be between 1 and 131072 pixels wide and high, and no farther away");
        result.push_back({v[0], v[1], v[2], v[3]});
    }
    return result;
}

// The faces of one frame together with the picture that they were found in.
struct FittedFrame {
    py::array image;
    std::vector<FittedFace> faces;
};

class PyFaceTracking {
  public:
    PyFaceTracking(std::shared_ptr<const LandmarkModel> model, std::shared_ptr<const MtcnnDetector> detector,
                   const LandmarkParameters& parameters, int max_faces, const std::string& identity,
                   int threads)
        : tracking_(std::move(model), std::move(detector), parameters, max_faces, tracks(identity), threads) {
    }

    FittedFrame track(const py::array& image, const py::object& boxes) {
        return fit(image, boxes,
                   [this](const auto& view, const auto* b) { return tracking_.track(view, b); });
    }
    FittedFrame fit_picture(const py::array& image, const py::object& boxes) {
        return fit(image, boxes,
                   [this](const auto& view, const auto* b) { return tracking_.fit_picture(view, b); });
    }
    void reset() {
        const GilReleased released;
        const std::scoped_lock lock(mutex_);
        tracking_.reset();
    }
    void drop(int id) {
        const GilReleased released;
        const std::scoped_lock lock(mutex_);
        tracking_.drop(id);
    }
    int max_faces() const { return tracking_.max_faces(); }
    std::unique_ptr<openface::FittingThread> fitting_thread(bool pictures) {
        return std::make_unique<openface::FittingThread>(tracking_, mutex_, pictures);
    }
    long detector_runs() {
        const GilReleased released;
        const std::scoped_lock lock(mutex_);
        return tracking_.detector_runs();
    }

  private:
    template <class Function>
    FittedFrame fit(const py::array& image, const py::object& boxes, const Function& function) {
        const openface::ViewU8 view = view_of_image(image, "image");
        std::vector<Box> given;
        if (!boxes.is_none()) given = boxes_from(boxes);
        FittedFrame result{image, {}};
        const std::vector<Box>* pointer = boxes.is_none() ? nullptr : &given;
        const GilReleased released;
        const std::scoped_lock lock(mutex_);
        result.faces = function(view, pointer);
        return result;
    }

    static bool tracks(const std::string& identity) {
        if (identity != "slot" && identity != "track")
            throw Error(Error::Code::input, "identity: 'slot' or 'track' expected");
        return identity == "track";
    }

    FaceTracking tracking_;
    std::mutex mutex_;
};

class PyFittingThread {
  public:
    PyFittingThread(PyFaceTracking& tracking, bool pictures) : thread_(tracking.fitting_thread(pictures)) {}

    void submit(const py::array& image) {
        const auto turn = wait_for_turn();
        running().submit(view_of_image(image, "image"));
        images_.push_back(image);
    }
    FittedFrame take() {
        const auto turn = wait_for_turn();
        openface::FittingThread& thread = running();
        if (images_.empty()) throw Error(Error::Code::state, "there is no frame whose faces could be taken");
        FittedFrame result{images_.front(), {}};
        images_.pop_front();
        const GilReleased released;
        result.faces = thread.take();
        return result;
    }
    void close() {
        const auto turn = wait_for_turn();
        const GilReleased released;
        thread_.reset();
    }

  private:
    // Without the GIL, which who has the turn may be about to ask for.
    std::unique_lock<std::mutex> wait_for_turn() {
        const GilReleased released;
        return std::unique_lock(mutex_);
    }
    openface::FittingThread& running() const {
        if (thread_ == nullptr) throw Error(Error::Code::state, "the fitting thread is closed");
        return *thread_;
    }

    std::mutex mutex_;
    std::deque<py::array> images_;  // that the thread's frames are borrowed from
    std::unique_ptr<openface::FittingThread> thread_;
};

std::vector<std::string> unit_names(const std::vector<openface::Predictor>& units) {
    std::vector<std::string> names;
    for (const openface::Predictor& unit : units) names.push_back(unit.name);
    return names;
}

using PointArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

// Points (n, 3) to the engine's order: all x, all y, all z.
std::vector<float> by_axis(const PointArray& points) {
    std::vector<float> result;
    for (int axis = 0; axis < 3; ++axis)
        for (py::ssize_t i = 0; i < points.shape(0); ++i) result.push_back(*points.data(i, axis));
    return result;
}

// Which landmarks a head with this rotation (Euler angles, radians) shows: those of the nearest view of the
// finest scale (tracking.md, section 6). Only drawings ask for it.
py::array_t<bool> visible_landmarks(const LandmarkModel& model, float rx, float ry, float rz) {
    const openface::PatchExperts& experts = *model.face.experts;
    const int scale = int(experts.scales().size()) - 1;
    openface::GlobalParameters rotation;
    rotation.rx = rx;
    rotation.ry = ry;
    rotation.rz = rz;
    const int view = experts.nearest_view(scale, rotation);
    const std::vector<std::uint8_t>& flags =
        experts.scales()[std::size_t(scale)].views[std::size_t(view)].visible;
    py::array_t<bool> visible{py::ssize_t(flags.size())};
    std::transform(flags.begin(), flags.end(), visible.mutable_data(), [](auto flag) { return flag != 0; });
    return visible;
}

struct AlignmentRequest {
    bool wanted = false;
    openface::AlignmentOptions options;
};

class PyObserver {
  public:
    PyObserver(std::shared_ptr<const LandmarkModel> model, std::shared_ptr<const FaceAnalyserModel> analyser,
               const std::string& program, bool live, bool history)
        : observer_(std::move(model), std::move(analyser), program_from(program), live, history) {}

    py::object observe(const FittedFrame& frame, const std::array<float, 4>& camera, long number,
                       double timestamp, bool fhog, const py::object& alignment) {
        const openface::ViewU8 view = view_of_image(frame.image, "image");
        const auto count = py::ssize_t(frame.faces.size());
        py::array_t<double> rows({count, py::ssize_t(observer_.column_count())});
        double* row = rows.mutable_data();
        std::vector<openface::ImageU8> faces;
        std::vector<float> descriptors;
        AlignmentRequest request;
        if (!alignment.is_none()) {
            const auto [size, scale, mask, grey] = alignment.cast<std::tuple<int, double, bool, bool>>();
            request = {true, {size, scale, mask, grey}};
        }
        {
            const GilReleased released;
            const std::scoped_lock lock(mutex_);
            for (const FittedFace& face : frame.faces) {
                observer_.observe(face, view, {camera[0], camera[1], camera[2], camera[3]}, number, timestamp,
                                  row);
                row += observer_.column_count();
                if (openface::FaceAnalyser* analyser = observer_.analyser(); analyser != nullptr) {
                    if (fhog) {
                        const std::span<const float> latest = observer_.latest_fhog();
                        descriptors.insert(descriptors.end(), latest.begin(), latest.end());
                    }
                    if (request.wanted) {
                        const bool fitted = observer_.program() != Program::single_face || face.state.ok;
                        analyser->align(view, face.state.face.landmarks.data(), fitted, request.options,
                                        faces.emplace_back());
                    }
                }
            }
        }
        if (!fhog && !request.wanted) return rows;
        py::object fhog_array = py::none();
        if (fhog) {
            // Not left to reshape(-1): a frame without faces has no size to divide.
            const py::ssize_t width = count > 0 ? py::ssize_t(descriptors.size()) / count : 0;
            fhog_array = to_array(std::span<const float>(descriptors)).reshape({count, width});
        }
        py::list images;
        for (const openface::ImageU8& image : faces) {
            std::vector<py::ssize_t> shape{image.height(), image.width()};
            if (image.channels() > 1) shape.push_back(image.channels());
            py::array_t<std::uint8_t> copy(shape);
            std::copy(image.data(), image.data() + copy.size(), copy.mutable_data());
            images.append(copy);
        }
        return py::make_tuple(rows, fhog_array, images);
    }

    // (intensity, presence) for every frame, float64, after the end-of-video pass; None without action units
    // and where each face has an analyser of its own.
    py::object finish(bool smooth) {
        if (observer_.one_analyser_per_face()) return py::none();
        const openface::FaceAnalyser* analyser = observer_.analyser();
        return analyser == nullptr ? py::none() : py::object(finish(*analyser, smooth));
    }
    // The same of every face with an analyser of its own, by its id: one row per row that it was observed in.
    py::dict finish_each(bool smooth) {
        py::dict result;
        if (!observer_.one_analyser_per_face()) return result;
        for (const auto& [id, analyser] : observer_.analysers())
            result[py::int_(id)] = finish(*analyser, smooth);
        return result;
    }
    void forget(int id) {
        const GilReleased released;
        const std::scoped_lock lock(mutex_);
        observer_.forget(id);
    }
    void reset() {
        const GilReleased released;
        const std::scoped_lock lock(mutex_);
        observer_.reset();
    }
    const std::vector<std::string>& columns() const { return observer_.columns(); }

  private:
    py::tuple finish(const openface::FaceAnalyser& analyser, bool smooth) {
        openface::PostProcessed values;
        {
            const GilReleased released;
            const std::scoped_lock lock(mutex_);
            values = analyser.finish(smooth);
        }
        const auto matrix = [&](const std::vector<double>& v, std::size_t columns) {
            return to_array(std::span<const double>(v))
                .reshape({py::ssize_t(values.frames), py::ssize_t(columns)});
        };
        return py::make_tuple(matrix(values.intensity, analyser.model().predictors().intensities().size()),
                              matrix(values.presence, analyser.model().predictors().presences().size()));
    }
    static Program program_from(const std::string& name) {
        if (name == "single_face") return Program::single_face;
        if (name == "several_faces") return Program::several_faces;
        if (name == "pictures") return Program::pictures;
        throw Error(Error::Code::input, "program: 'single_face', 'several_faces' or 'pictures' expected");
    }

    Observer observer_;
    std::mutex mutex_;
};

}  // namespace

void register_pipeline(py::module_& module) {
    py::class_<LandmarkModel, std::shared_ptr<LandmarkModel>>(
        module, "LandmarkModel",
        "A landmark model as its main file names it: shape model, experts, parts, validator.")
        .def(py::init([](const std::filesystem::path& main_file) {
                 const GilReleased released;
                 return std::const_pointer_cast<LandmarkModel>(LandmarkModel::load(main_file));
             }),
             py::arg("main_file"))
        .def_readonly("stem", &LandmarkModel::stem)
        .def_property_readonly("landmark_count",
                               [](const LandmarkModel& m) { return m.face.pdm->landmark_count(); })
        .def_property_readonly("mode_count", [](const LandmarkModel& m) { return m.face.pdm->mode_count(); })
        .def_property_readonly("expert_kind",
                               [](const LandmarkModel& m) { return std::string(m.face.experts->kind()); })
        .def_property_readonly("has_eyes", &LandmarkModel::has_eyes)
        .def("visible_landmarks", &visible_landmarks, py::arg("rx"), py::arg("ry"), py::arg("rz"))
        .def(
            "prepare_first_fits",
            [](const LandmarkModel& model, const LandmarkParameters& parameters, bool all_rotations) {
                const GilReleased released;
                openface::prepare_first_fits(model, parameters, all_rotations);
            },
            py::arg("parameters"), py::arg("all_rotations"));

    py::class_<MtcnnDetector, std::shared_ptr<MtcnnDetector>>(module, "MtcnnModel",
                                                              "The weights of the face detector.")
        .def(py::init([](const std::filesystem::path& listing) {
                 const GilReleased released;
                 return std::const_pointer_cast<MtcnnDetector>(MtcnnDetector::load(listing));
             }),
             py::arg("listing"));

    py::class_<FaceAnalyserModel, std::shared_ptr<FaceAnalyserModel>>(module, "FaceAnalyserModel",
                                                                      "The predictors of the action units.")
        .def(py::init([](const std::filesystem::path& main_file) {
                 const GilReleased released;
                 return std::const_pointer_cast<FaceAnalyserModel>(FaceAnalyserModel::load(main_file));
             }),
             py::arg("main_file"))
        .def_property_readonly("files", &FaceAnalyserModel::files)
        .def_property_readonly(
            "intensity_names",
            [](const FaceAnalyserModel& m) { return unit_names(m.predictors().intensities()); })
        .def_property_readonly("presence_names", [](const FaceAnalyserModel& m) {
            return unit_names(m.predictors().presences());
        });

    module.def(
        "estimate_gaze",
        [](const PointArray& eyes, const PointArray& face, const std::array<float, 6>& pose) {
            if (eyes.ndim() != 2 || eyes.shape(0) != 56 || eyes.shape(1) != 3 || face.ndim() != 2 ||
                face.shape(0) != 68 || face.shape(1) != 3)
                throw Error(Error::Code::input, "estimate_gaze: (56, 3) and (68, 3) points expected");
            const std::vector<float> points = by_axis(face);
            openface::Vector3 gaze[2];
            for (int eye = 0; eye < 2; ++eye) {
                std::vector<float> own(3 * 28);
                for (int axis = 0; axis < 3; ++axis)
                    for (int i = 0; i < 28; ++i)
                        own[std::size_t(axis * 28 + i)] = *eyes.data(eye * 28 + i, axis);
                gaze[eye] = openface::estimate_gaze(own.data(), points.data(), pose, eye);
            }
            return py::make_tuple(gaze[0], gaze[1], openface::gaze_angle(gaze[0], gaze[1]));
        },
        py::arg("eye_landmarks_3d"), py::arg("landmarks_3d"), py::arg("pose"));

    py::class_<LandmarkParameters>(
        module, "LandmarkParameters",
        "Settings of the landmark fit.\n\n"
        "wild: start from OpenFace's settings for difficult images.\n\n"
        "sigma, regularisation, weight_factor: of the regularised landmark mean "
        "shift; iterations: at most, per scale and stage; windows, tracking_windows: "
        "width of the search in px on every scale, for new faces and followed ones, "
        "0 leaves a scale out; multi_view: try all first rotations in pictures; "
        "validate: judge every fit. apply_model_factors(\"main_ceclm_general\") "
        "brings in the factors of that model.")
        .def(py::init(&LandmarkParameters::standard), py::arg("wild") = false)
        .def("apply_model_factors", &LandmarkParameters::apply_model_factors, py::arg("main_file_stem"))
        .def("check", &LandmarkParameters::check)
        .def_property(
            "sigma", [](const LandmarkParameters& p) { return p.fit.sigma; },
            [](LandmarkParameters& p, float v) { p.fit.sigma = v; })
        .def_property(
            "regularisation", [](const LandmarkParameters& p) { return p.fit.regularisation; },
            [](LandmarkParameters& p, float v) { p.fit.regularisation = v; })
        .def_property(
            "weight_factor", [](const LandmarkParameters& p) { return p.fit.weight_factor; },
            [](LandmarkParameters& p, float v) { p.fit.weight_factor = v; })
        .def_property(
            "iterations", [](const LandmarkParameters& p) { return p.fit.iterations; },
            [](LandmarkParameters& p, int v) { p.fit.iterations = v; })
        .def_property(
            "windows", [](const LandmarkParameters& p) { return p.fit.windows; },
            [](LandmarkParameters& p, std::vector<int> v) { p.fit.windows = std::move(v); })
        .def_readwrite("tracking_windows", &LandmarkParameters::tracking_windows)
        .def_readwrite("multi_view", &LandmarkParameters::multi_view)
        .def_readwrite("validate", &LandmarkParameters::validate);

    py::class_<FittedFrame>(module, "FittedFrame", "The faces fitted in one frame.")
        .def("__len__", [](const FittedFrame& f) { return f.faces.size(); })
        .def_readonly("image", &FittedFrame::image)
        .def_property_readonly("ids",
                               [](const FittedFrame& f) {
                                   std::vector<int> ids;
                                   for (const FittedFace& face : f.faces) ids.push_back(face.id);
                                   return ids;
                               })
        .def_property_readonly("accepted",
                               [](const FittedFrame& f) {
                                   std::vector<bool> flags;
                                   for (const FittedFace& face : f.faces) flags.push_back(face.state.ok);
                                   return flags;
                               })
        .def_property_readonly("new_faces",
                               [](const FittedFrame& f) {
                                   std::vector<bool> flags;
                                   for (const FittedFace& face : f.faces) flags.push_back(face.new_face);
                                   return flags;
                               })
        .def_property_readonly("identity_confidences",
                               [](const FittedFrame& f) {
                                   std::vector<float> values;
                                   for (const FittedFace& face : f.faces)
                                       values.push_back(face.identity_confidence);
                                   return values;
                               })
        .def_property_readonly("landmark_likelihoods", [](const FittedFrame& f) {
            py::list all;
            for (const FittedFace& face : f.faces)
                all.append(to_array(std::span<const float>(face.state.face.landmark_likelihoods)));
            return all;
        });

    py::class_<PyFaceTracking>(module, "FaceTracking", "Follows one face or several through a video.")
        .def(py::init([](std::shared_ptr<LandmarkModel> model, std::shared_ptr<MtcnnDetector> detector,
                         const LandmarkParameters& parameters, int max_faces, const std::string& identity,
                         int threads) {
                 return std::make_unique<PyFaceTracking>(std::move(model), std::move(detector), parameters,
                                                         max_faces, identity, threads);
             }),
             py::arg("model"), py::arg("detector"), py::arg("parameters"), py::arg("max_faces") = 1,
             py::arg("identity") = "slot", py::arg("threads") = 1)
        .def("track", &PyFaceTracking::track, py::arg("image"), py::arg("boxes") = py::none())
        .def("fit_picture", &PyFaceTracking::fit_picture, py::arg("image"), py::arg("boxes") = py::none())
        .def("reset", &PyFaceTracking::reset)
        .def("drop", &PyFaceTracking::drop, py::arg("face_id"))
        .def_property_readonly("max_faces", &PyFaceTracking::max_faces)
        .def_property_readonly("detector_runs", &PyFaceTracking::detector_runs);

    py::class_<PyFittingThread>(module, "FittingThread",
                                "A thread that fits the frames of a FaceTracking, which nobody else may use "
                                "meanwhile.")
        .def(py::init<PyFaceTracking&, bool>(), py::arg("tracking"), py::arg("pictures") = false,
             py::keep_alive<1, 2>())
        .def("submit", &PyFittingThread::submit, py::arg("image"))
        .def("take", &PyFittingThread::take)
        .def("close", &PyFittingThread::close);

    py::class_<PyObserver>(module, "Observer", "Turns fitted faces into rows of OpenFace's columns.")
        .def(py::init([](std::shared_ptr<LandmarkModel> model, std::shared_ptr<FaceAnalyserModel> analyser,
                         const std::string& program, bool live, bool history) {
                 return std::make_unique<PyObserver>(std::move(model), std::move(analyser), program, live,
                                                     history);
             }),
             py::arg("model"), py::arg("face_analyser_model").none(true), py::arg("program"),
             py::arg("live") = false, py::arg("history") = true)
        .def_property_readonly("columns", &PyObserver::columns)
        .def("observe", &PyObserver::observe, py::arg("frame"), py::arg("camera"), py::arg("number"),
             py::arg("timestamp"), py::arg("fhog") = false, py::arg("alignment") = py::none())
        .def("finish", py::overload_cast<bool>(&PyObserver::finish), py::arg("smooth") = true)
        .def("finish_each", &PyObserver::finish_each, py::arg("smooth") = true)
        .def("forget", &PyObserver::forget, py::arg("face_id"))
        .def("reset", &PyObserver::reset);
}

}  // namespace pyopenface
