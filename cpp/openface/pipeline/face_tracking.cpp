#include "openface/pipeline/face_tracking.h"

#include <algorithm>

#include "openface/core/error.h"
#include "openface/image/grey.h"
#include "openface/pipeline/face_identity.h"

namespace openface {

namespace {

constexpr int detection_period = 8;     // frames
constexpr int drop_after_failures = 4;  // a tracker with more failures in a row gives up its face
constexpr float same_face_overlap = 0.5f;

LandmarkParameters parameters_for(LandmarkParameters parameters, int max_faces) {
    if (max_faces > 1) parameters.redetection_interval = -1;
    return parameters;
}

}  // namespace

Box landmark_box(const ShapeState& state) {
    const auto middle = state.landmarks.begin() + std::ptrdiff_t(state.landmarks.size() / 2);
    const auto [left, right] = std::minmax_element(state.landmarks.begin(), middle);
    const auto [top, bottom] = std::minmax_element(middle, state.landmarks.end());
    return {*left, *top, *right - *left, *bottom - *top};
}

float overlap(const Box& a, const Box& b) {
    const float width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
    const float height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
    if (!(width > 0.0f && height > 0.0f)) return 0.0f;
    const float intersection = width * height;
    return intersection / (a.width * a.height + b.width * b.height - intersection);
}

FaceTracking::FaceTracking(std::shared_ptr<const LandmarkModel> model,
                           std::shared_ptr<const MtcnnDetector> detector,
                           const LandmarkParameters& parameters, int max_faces, bool identities, int threads)
    : model_(std::move(model)),
      detector_(std::move(detector)),
      parameters_(parameters_for(parameters, max_faces)) {
    if (max_faces < 1 || max_faces > 1000)
        throw Error(Error::Code::input, "max_faces must be between 1 and 1000");
    for (int i = 0; i < max_faces; ++i)
        slots_.push_back({std::make_unique<LandmarkTracker>(model_, detector_, parameters_)});
    if (threads < 1 || threads > 1000) throw Error(Error::Code::input, "threads must be between 1 and 1000");
    if (threads > 1) pool_ = std::make_unique<ThreadPool>(threads);
    if (identities && max_faces > 1) identity_ = std::make_unique<FaceIdentity>(*model_->face.pdm);
}

FaceTracking::~FaceTracking() = default;

void FaceTracking::reset() {
    for (Slot& slot : slots_) release(slot);
    if (identity_ != nullptr) identity_->reset();
    frame_count_ = 0;
    detector_runs_ = 0;
}

void FaceTracking::drop(int id) {
    const int known = identity_ != nullptr ? identity_->known_people() : max_faces();
    if (id < 0 || id >= known)
        throw Error(Error::Code::input, "there is no face with id " + std::to_string(id));
    const int slot = identity_ != nullptr ? identity_->slot_of(id) : id;
    if (identity_ != nullptr) identity_->forget(id);
    if (slot >= 0) release(slots_[std::size_t(slot)]);
}

void FaceTracking::release(Slot& slot) {
    slot.tracker->reset();
    slot.active = false;
}

Frame FaceTracking::prepare(const ViewU8& image) {
    grey_.begin(image);
    return {image, grey_};
}

std::vector<Box> FaceTracking::find_faces(const Frame& frame, const std::vector<Box>* boxes) {
    if (boxes != nullptr) return *boxes;
    ++detector_runs_;
    std::vector<Box> found;
    for (const Detection& face : detector_->detect(frame.colour, detector_scratch_))
        found.push_back(face.box);
    return found;
}

std::vector<FittedFace> FaceTracking::track(const ViewU8& image, const std::vector<Box>* boxes) {
    return track(prepare(image), boxes);
}

std::vector<FittedFace> FaceTracking::track(const Frame& frame, const std::vector<Box>* boxes) {
    const PoolScope pool(pool_.get());
    std::vector<FittedFace> faces;
    if (frame.grey.empty()) return faces;
    if (slots_.size() > 1) {
        faces = track_several(frame, boxes);
        if (identity_ != nullptr)
            for (const int slot : identity_->name(frame.colour, faces)) release(slots_[std::size_t(slot)]);
    } else {
        faces.push_back(track_single(frame, boxes));
    }
    ++frame_count_;
    return faces;
}

FittedFace FaceTracking::track_single(const Frame& frame, const std::vector<Box>* boxes) {
    LandmarkTracker& tracker = *slots_.front().tracker;
    const bool known = tracker.state().initialised;
    bool success = false;
    if (boxes != nullptr && !boxes->empty() && !tracker.state().ok) {
        const auto widest = std::max_element(boxes->begin(), boxes->end(),
                                             [](const Box& a, const Box& b) { return a.width < b.width; });
        success = tracker.track_in_box(frame, *widest);
    } else {
        success = tracker.track(frame);
    }
    return {0, success, !known && tracker.state().initialised, tracker.state()};
}

FittedFace FaceTracking::track_unjudged(const Frame& frame, bool& fitted) {
    const PoolScope pool(pool_.get());
    LandmarkTracker& tracker = *slots_.front().tracker;
    fitted = tracker.track_unjudged(frame);
    return {0, true, false, tracker.state()};
}

void FaceTracking::settle(const Frame& frame, const Verdict& verdict, FittedFace& face) {
    const PoolScope pool(pool_.get());
    LandmarkTracker& tracker = *slots_.front().tracker;
    face.success = tracker.settle(frame, face.state, verdict);
    face.state = tracker.state();
}

std::vector<FittedFace> FaceTracking::track_several(const Frame& frame, const std::vector<Box>* boxes) {
    // Looked at before trackers are freed below, as in the reference.
    const bool any_free =
        std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.active; });
    std::vector<Box> candidates;
    if (any_free && (boxes != nullptr || frame_count_ % detection_period == 0))
        candidates = find_faces(frame, boxes);
    for (const Slot& slot : slots_) {
        const Box known = landmark_box(slot.tracker->state().face);
        std::erase_if(candidates, [&](const Box& box) { return overlap(box, known) > same_face_overlap; });
    }

    std::vector<bool> is_new(slots_.size(), false);
    struct Fit {
        LandmarkTracker* tracker;
        const Box* box;  // null: go on from the frame before
    };
    std::vector<Fit> fits;
    std::size_t next = 0;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        Slot& slot = slots_[i];
        if (slot.tracker->state().failures > drop_after_failures) release(slot);
        if (slot.active) {
            fits.push_back({slot.tracker.get(), nullptr});
        } else if (next < candidates.size()) {
            slot.tracker->reset();
            fits.push_back({slot.tracker.get(), &candidates[next++]});
            slot.active = true;
            is_new[i] = true;
        }
    }
    parallel_for(int(fits.size()), [&](int i) {
        const Fit& fit = fits[std::size_t(i)];
        if (fit.box == nullptr)
            fit.tracker->track(frame);
        else
            fit.tracker->track_in_box(frame, *fit.box);
    });

    // Two trackers on one face: the lower index gives way.
    for (std::size_t a = 0; a < slots_.size(); ++a)
        for (std::size_t b = a + 1; b < slots_.size(); ++b) {
            if (!slots_[a].active || !slots_[b].active) continue;
            if (overlap(landmark_box(slots_[a].tracker->state().face),
                        landmark_box(slots_[b].tracker->state().face)) > same_face_overlap)
                release(slots_[a]);
        }

    std::vector<FittedFace> faces;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const FaceState& state = slots_[i].tracker->state();
        if (slots_[i].active) faces.push_back({int(i), state.ok, is_new[i], state});
    }
    return faces;
}

std::vector<FittedFace> FaceTracking::fit_picture(const ViewU8& image, const std::vector<Box>* boxes) {
    return fit_picture(prepare(image), boxes);
}

std::vector<FittedFace> FaceTracking::fit_picture(const Frame& frame, const std::vector<Box>* boxes) {
    const PoolScope pool(pool_.get());
    std::vector<FittedFace> faces;
    if (frame.grey.empty()) return faces;
    if (picture_fitter_ == nullptr) picture_fitter_ = std::make_unique<FaceFitter>(model_, parameters_);
    for (const Box& box : find_faces(frame, boxes)) {
        FittedFace face{int(faces.size()), false, true, FaceState(*model_)};
        picture_fitter_->fit_from_box(frame.grey, box, parameters_.multi_view, face.state);
        face.success = face.state.ok;
        faces.push_back(std::move(face));
    }
    return faces;
}

}  // namespace openface
