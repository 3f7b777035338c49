#include "openface/pipeline/observer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "openface/gaze_analyser/gaze.h"

namespace openface {

namespace {

constexpr int eye_points = 28;

void add_points(std::vector<std::string>& columns, const char* prefix,
                std::initializer_list<const char*> axes, int count) {
    for (const char* axis : axes)
        for (int i = 0; i < count; ++i)
            columns.push_back(std::string(prefix) + axis + "_" + std::to_string(i));
}

std::vector<std::string> column_names(const LandmarkModel& model, const FaceAnalyserModel* analyser) {
    std::vector<std::string> columns{"frame", "face_id", "timestamp", "confidence", "success"};
    if (model.has_eyes()) {
        for (const char* eye : {"gaze_0", "gaze_1"})
            for (const char* axis : {"_x", "_y", "_z"}) columns.push_back(std::string(eye) + axis);
        columns.insert(columns.end(), {"gaze_angle_x", "gaze_angle_y"});
        add_points(columns, "eye_lmk_", {"x", "y", "X", "Y", "Z"}, 2 * eye_points);
    }
    columns.insert(columns.end(), {"pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"});
    const int n = model.face.pdm->landmark_count();
    add_points(columns, "", {"x", "y"}, n);
    add_points(columns, "", {"X", "Y", "Z"}, n);
    columns.insert(columns.end(), {"p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty"});
    add_points(columns, "", {"p"}, model.face.pdm->mode_count());
    if (analyser != nullptr) {
        for (const Predictor& unit : analyser->predictors().intensities())
            columns.push_back(unit.name + "_r");
        for (const Predictor& unit : analyser->predictors().presences()) columns.push_back(unit.name + "_c");
    }
    return columns;
}

template <class Values>
double* append(double* out, const Values& values) {
    return std::copy(std::begin(values), std::end(values), out);
}

}  // namespace

Observer::Observer(std::shared_ptr<const LandmarkModel> model,
                   std::shared_ptr<const FaceAnalyserModel> analyser_model, Program program, bool live,
                   bool history)
    : model_(std::move(model)),
      program_(program),
      analyser_model_(std::move(analyser_model)),
      live_(live),
      history_(history),
      per_face_(program == Program::several_faces && analyser_model_ != nullptr &&
                analyser_model_->predictors().any_dynamic()),
      columns_(column_names(*model_, analyser_model_.get())) {
    if (analyser_model_ != nullptr && !per_face_) latest_analyser_ = &analyser_of(0);
    face_3d_.resize(std::size_t(3 * model_->face.pdm->landmark_count()));
    for (auto& eye : eye_3d_) eye.resize(3 * eye_points);
}

void Observer::observe(const FittedFace& face, const ViewU8& image, const Camera& camera, long frame_number,
                       double timestamp, double* row) {
    const FaceState& state = face.state;
    const Pdm& pdm = *model_->face.pdm;
    double* out = row;
    *out++ = double(frame_number);
    *out++ = face.id;
    *out++ = timestamp;
    *out++ = state.certainty;
    *out++ = face.success ? 1.0 : 0.0;

    std::array<float, 6> pose = head_pose(pdm, state.face, camera, scratch_);
    // A shape far outside the picture, as a senseless box gives it, may have no pose.
    if (!std::isfinite(std::accumulate(pose.begin(), pose.end(), 0.0f))) pose = {};
    landmarks_3d(pdm, state.face, camera, scratch_, face_3d_.data());
    if (model_->has_eyes()) {
        const int parts[2] = {model_->left_eye_part, model_->right_eye_part};
        const bool looks = program_ == Program::pictures || face.success;
        Vector3 gaze[2] = {};
        for (int eye = 0; eye < 2; ++eye) {
            const ShapeState& eye_state = state.parts[std::size_t(parts[eye])];
            landmarks_3d(*model_->parts[std::size_t(parts[eye])].model.pdm, eye_state, camera, scratch_,
                         eye_3d_[eye].data());
            if (looks) gaze[eye] = estimate_gaze(eye_3d_[eye].data(), face_3d_.data(), pose, eye);
            // An eye that has shrunk to a point looks nowhere.
            if (!std::isfinite(gaze[eye][0] + gaze[eye][1] + gaze[eye][2])) gaze[eye] = {};
        }
        out = append(append(out, gaze[0]), gaze[1]);
        out = append(out, looks ? gaze_angle(gaze[0], gaze[1]) : std::array<float, 2>{});
        for (int axis = 0; axis < 2; ++axis)
            for (const int part : parts) {
                const float* points = state.parts[std::size_t(part)].landmarks.data() + axis * eye_points;
                out = std::copy(points, points + eye_points, out);
            }
        for (int axis = 0; axis < 3; ++axis)
            for (const auto& eye : eye_3d_)
                out = std::copy(eye.begin() + axis * eye_points, eye.begin() + (axis + 1) * eye_points, out);
    }
    out = append(out, pose);
    out = append(append(out, state.face.landmarks), face_3d_);
    const GlobalParameters& g = state.face.global;
    out = append(append(out, std::array<float, 6>{g.scale, g.rx, g.ry, g.rz, g.tx, g.ty}), state.face.local);
    if (analyser_model_ == nullptr) return;
    FaceAnalyser& analyser = analyser_of(per_face_ ? face.id : 0);
    const AnalysedFace units = program_ == Program::single_face || per_face_
                                   ? analyser.analyse(image, state.face.landmarks.data(), state.ok)
                                   : analyser.analyse_static(image, state.face.landmarks.data());
    append(append(out, units.intensity), units.presence);
    latest_fhog_ = units.fhog;
    latest_analyser_ = &analyser;
}

FaceAnalyser& Observer::analyser_of(int id) {
    std::unique_ptr<FaceAnalyser>& analyser = analysers_[id];
    if (analyser == nullptr) analyser = std::make_unique<FaceAnalyser>(analyser_model_, live_, history_);
    return *analyser;
}

void Observer::forget(int id) {
    if (!per_face_) return;
    if (const auto found = analysers_.find(id); found != analysers_.end()) {
        if (latest_analyser_ == found->second.get()) latest_analyser_ = nullptr;
        analysers_.erase(found);
    }
}

void Observer::reset() {
    if (per_face_) {
        analysers_.clear();
        latest_analyser_ = nullptr;
    } else {
        for (const auto& [id, analyser] : analysers_) analyser->reset();
    }
}

}  // namespace openface
