// stages.LandmarkFitting: fits from given parameters or boxes with everything that happens on the way; head
// pose, 3D landmarks and gaze from given shapes.
#include <memory>

#include "bindings.h"
#include "openface/core/error.h"
#include "openface/gaze_analyser/gaze.h"
#include "openface/landmark_detector/face_fit.h"

namespace pyopenface {

namespace {

using openface::Camera;
using openface::Error;
using openface::FaceFitter;
using openface::FaceState;
using openface::LandmarkModel;
using openface::LandmarkParameters;
using openface::ScaleTrace;
using openface::ShapeFitter;
using openface::ShapeModel;
using openface::ShapeState;

py::array_t<float> array_of(const std::vector<float>& values) {
    return to_array(std::span<const float>(values));
}

py::array_t<float> array_of(const openface::GlobalParameters& g) {
    const std::array<float, 6> values{g.scale, g.rx, g.ry, g.rz, g.tx, g.ty};
    return to_array(std::span<const float>(values));
}

py::dict dict_of(const ShapeState& state) {
    py::dict d;
    d["global"] = array_of(state.global);
    d["local"] = array_of(state.local);
    d["landmarks"] = array_of(state.landmarks);
    d["likelihood"] = state.likelihood;
    d["landmark_likelihoods"] = array_of(state.landmark_likelihoods);
    return d;
}

py::dict dict_of(const openface::PassTrace& pass) {
    py::list shifts, increments, globals, locals;
    for (std::size_t i = 0; i < pass.states.size(); ++i) {
        shifts.append(array_of(pass.mean_shifts[i]));
        increments.append(array_of(pass.increments[i]));
        globals.append(array_of(pass.states[i].global));
        locals.append(array_of(pass.states[i].local));
    }
    py::dict d;
    d["mean_shifts"] = shifts;
    d["increments"] = increments;
    d["global"] = globals;
    d["local"] = locals;
    return d;
}

py::list list_of(const std::vector<ScaleTrace>& scales) {
    py::list list;
    for (const ScaleTrace& scale : scales) {
        py::dict d;
        d["scale"] = scale.scale;
        d["view"] = scale.view;
        d["window"] = scale.window;
        d["regularisation"] = scale.regularisation;
        d["sigma"] = scale.sigma;
        d["weight_factor"] = scale.weight_factor;
        d["base_shape"] = array_of(scale.base_shape);
        const openface::Similarity& s = scale.image_to_reference;
        d["image_to_reference"] = std::array<float, 4>{s.xx, s.xy, s.yx, s.yy};
        const auto n = py::ssize_t(scale.base_shape.size() / 2);
        d["responses"] = array_of(scale.responses).reshape({n, py::ssize_t(scale.window), py::ssize_t(-1)});
        d["rigid"] = dict_of(scale.rigid);
        d["nonrigid"] = dict_of(scale.nonrigid);
        list.append(d);
    }
    return list;
}

// Patch experts that answer with given response maps, so that the optimisation can be tested alone.
class GivenResponses : public openface::PatchExperts {
  public:
    GivenResponses(const PatchExperts& experts, std::vector<std::vector<float>> maps)
        : maps_(std::move(maps)) {
        scales_ = experts.scales();
        landmark_count_ = experts.landmark_count();
    }
    const char* kind() const override { return "given"; }
    void respond(const openface::ResponseQuery& query, openface::ResponseMaps& maps,
                 openface::PatchScratch&) const override {
        const int window = query.window;
        maps.reshape(landmark_count_, window);
        std::fill(maps.values.begin(), maps.values.end(), 0.0f);
        const std::vector<float>& given = maps_.at(std::size_t(query.scale));
        for (int i = 0; i < landmark_count_; ++i)
            for (int y = 0; y < window; ++y)
                std::copy_n(given.begin() + std::ptrdiff_t((i * window + y) * window), window,
                            maps.map(i) + y * maps.stride);
    }

  private:
    std::vector<std::vector<float>> maps_;  // per scale: n x window x window
};

class FittingStage {
  public:
    FittingStage(const std::filesystem::path& main_file, bool wild)
        : model_(LandmarkModel::load(main_file)), fitter_(model_, parameters_for(*model_, wild)) {}

    py::list part_names() const {
        py::list names;
        for (const openface::PartModel& part : model_->parts) names.append(part.name);
        return names;
    }

    py::dict fit(const py::array& grey, const py::handle& global, const py::handle& local,
                 const std::vector<int>& windows) {
        FaceState state(*model_);
        state.face = state_from(model_->face, global, local, py::none());
        return traced(state, [&] { return fitter_.fit(picture(grey), windows, state); });
    }

    py::dict fit_from_box(const py::array& grey, const std::array<float, 4>& box, bool all_rotations) {
        FaceState state(*model_);
        return traced(state, [&] {
            return fitter_.fit_from_box(picture(grey), {box[0], box[1], box[2], box[3]}, all_rotations,
                                        state);
        });
    }

    // Converts all of a picture, and gives the buffer back: with the pixels that a fit of another picture has
    // converted since then among those of this one.
    void convert(const py::array& grey) { picture(grey).view(openface::everything); }
    py::array_t<std::uint8_t> converted() {
        constexpr openface::PixelBounds nothing{0.0f, 0.0f, -1.0f, -1.0f};
        const openface::ViewU8 view = picture_.view(nothing);
        py::array_t<std::uint8_t> result({view.height, view.width});
        std::copy(view.data, view.data + result.size(), result.mutable_data());
        return result;
    }

    // One shape model alone (part -1: the face), with responses from the image or with given ones.
    py::tuple fit_shape(int part, const py::array& grey, const py::handle& global, const py::handle& local,
                        const std::vector<int>& windows, const py::object& responses) {
        const ShapeModel& model = shape_model(part);
        const openface::FitParameters& parameters =
            part < 0 ? fitter_.parameters().fit : model_->parts[std::size_t(part)].parameters;
        ShapeState state = state_from(model, global, local, py::none());
        ShapeModel given{model.pdm, nullptr};
        if (!responses.is_none()) {
            std::vector<std::vector<float>> maps(windows.size());
            const auto list = responses.cast<std::vector<py::object>>();
            for (std::size_t i = 0; i < std::min(windows.size(), list.size()); ++i) {
                if (windows[i] == 0) continue;
                const py::ssize_t size = py::ssize_t(model.pdm->landmark_count()) * windows[i] * windows[i];
                const auto values = float_array(list[i], "responses", size);
                maps[i].assign(values.data(), values.data() + size);
            }
            given.experts = std::make_unique<GivenResponses>(*model.experts, std::move(maps));
        }
        ShapeFitter fitter(responses.is_none() ? model : given, parameters);
        std::vector<ScaleTrace> scales;
        const bool fitted = fitter.fit(picture(grey), windows, state, &scales);
        py::dict d = dict_of(state);
        d["fitted"] = fitted;
        return py::make_tuple(d, list_of(scales));
    }

    py::dict fit_to_landmarks(int part, const py::handle& landmarks) {
        const ShapeModel& model = shape_model(part);
        const auto points = float_array(landmarks, "landmarks", 2 * model.pdm->landmark_count());
        ShapeState state(*model.pdm);
        ShapeFitter(model, fitter_.parameters().fit).fit_to_landmarks(points.data(), state);
        return dict_of(state);
    }

    py::array_t<float> landmarks_3d(int part, const py::handle& global, const py::handle& local,
                                    const py::handle& landmarks, const std::array<float, 4>& camera) {
        const ShapeModel& model = shape_model(part);
        const ShapeState state = state_from(model, global, local, landmarks);
        std::vector<float> xyz(std::size_t(3 * model.pdm->landmark_count()));
        openface::landmarks_3d(*model.pdm, state, {camera[0], camera[1], camera[2], camera[3]}, scratch_,
                               xyz.data());
        return array_of(xyz).reshape({py::ssize_t(3), py::ssize_t(-1)});
    }

    std::array<float, 6> head_pose(const py::handle& global, const py::handle& local,
                                   const py::handle& landmarks, const std::array<float, 4>& camera) {
        const ShapeState state = state_from(model_->face, global, local, landmarks);
        return openface::head_pose(*model_->face.pdm, state, {camera[0], camera[1], camera[2], camera[3]},
                                   scratch_);
    }

  private:
    static LandmarkParameters parameters_for(const LandmarkModel& model, bool wild) {
        LandmarkParameters parameters = LandmarkParameters::standard(wild);
        parameters.apply_model_factors(model.stem);
        return parameters;
    }

    const ShapeModel& shape_model(int part) const {
        if (part < -1 || part >= int(model_->parts.size()))
            throw Error(Error::Code::input, "part: there is no such part");
        return part < 0 ? model_->face : model_->parts[std::size_t(part)].model;
    }

    static ShapeState state_from(const ShapeModel& model, const py::handle& global, const py::handle& local,
                                 const py::handle& landmarks) {
        ShapeState state(*model.pdm);
        const auto g = float_array(global, "global", 6);
        const auto q = float_array(local, "local", model.pdm->mode_count());
        state.global = {g.data()[0], g.data()[1], g.data()[2], g.data()[3], g.data()[4], g.data()[5]};
        std::copy(q.data(), q.data() + q.size(), state.local.begin());
        if (!landmarks.is_none()) {
            const auto points = float_array(landmarks, "landmarks", 2 * model.pdm->landmark_count());
            std::copy(points.data(), points.data() + points.size(), state.landmarks.begin());
        }
        return state;
    }

    openface::GreyPicture& picture(const py::array& grey) {
        const openface::ViewU8 view = view_of_image(grey, "grey");
        if (view.channels != 1) throw Error(Error::Code::input, "grey: a grey image expected");
        picture_.begin(view);
        return picture_;
    }

    template <class Function>
    py::dict traced(FaceState& state, const Function& function) {
        FaceFitter::Trace trace(*model_);
        fitter_.set_trace(&trace);
        const bool accepted = function();
        fitter_.set_trace(nullptr);
        py::list parts;
        for (std::size_t p = 0; p < trace.part_starts.size(); ++p) {
            py::dict part = dict_of(state.parts[p % state.parts.size()]);
            part["landmarks_in"] = array_of(trace.part_landmarks_in[p]);
            part["start"] = dict_of(trace.part_starts[p]);
            part["used"] = bool(trace.part_used[p]);
            part["scales"] = list_of(trace.part_scales[p]);
            parts.append(part);
        }
        py::dict d = dict_of(state.face);
        d["scales"] = list_of(trace.scales);
        d["after_scales"] = dict_of(trace.after_scales);
        d["parts"] = parts;
        d["merged_landmarks"] = array_of(trace.merged_landmarks);
        d["certainty"] = state.certainty;
        d["ok"] = state.ok;
        d["accepted"] = accepted;
        return d;
    }

    std::shared_ptr<const LandmarkModel> model_;
    FaceFitter fitter_;
    openface::PdmScratch scratch_;
    openface::GreyPicture picture_;
};

}  // namespace

void register_fitting_stages(py::module_& stages) {
    py::class_<FittingStage>(stages, "LandmarkFitting")
        .def(py::init<const std::filesystem::path&, bool>(), py::arg("main_file"), py::arg("wild") = false)
        .def_property_readonly("part_names", &FittingStage::part_names)
        .def("fit", &FittingStage::fit, py::arg("grey"), py::arg("global_parameters"), py::arg("local"),
             py::arg("windows"))
        .def("fit_from_box", &FittingStage::fit_from_box, py::arg("grey"), py::arg("box"),
             py::arg("all_rotations"))
        .def("convert", &FittingStage::convert, py::arg("grey"))
        .def("converted", &FittingStage::converted)
        .def("fit_shape", &FittingStage::fit_shape, py::arg("part"), py::arg("grey"),
             py::arg("global_parameters"), py::arg("local"), py::arg("windows"),
             py::arg("responses") = py::none())
        .def("fit_to_landmarks", &FittingStage::fit_to_landmarks, py::arg("part"), py::arg("landmarks"))
        .def("landmarks_3d", &FittingStage::landmarks_3d, py::arg("part"), py::arg("global_parameters"),
             py::arg("local"), py::arg("landmarks"), py::arg("camera"))
        .def("head_pose", &FittingStage::head_pose, py::arg("global_parameters"), py::arg("local"),
             py::arg("landmarks"), py::arg("camera"));

    stages.def(
        "estimate_gaze",
        [](const py::handle& eye_3d, const py::handle& face_3d, const std::array<float, 6>& pose, int eye) {
            if (eye != 0 && eye != 1) throw Error(Error::Code::input, "eye: 0 or 1 expected");
            const auto eye_points = float_array(eye_3d, "eye_3d", 3 * 28);
            const auto face_points = float_array(face_3d, "face_3d", 3 * 68);
            return openface::estimate_gaze(eye_points.data(), face_points.data(), pose, eye);
        },
        py::arg("eye_3d"), py::arg("face_3d"), py::arg("pose"), py::arg("eye"));
    stages.def("gaze_angle", &openface::gaze_angle, py::arg("gaze_0"), py::arg("gaze_1"));
}

}  // namespace pyopenface
