#include "openface/landmark_detector/face_fit.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>

#include "openface/core/thread_pool.h"

namespace openface {

namespace {

constexpr float part_scale_share =
    0.9f;  // a part is fitted if the face is larger than this share of its patch scale
constexpr std::size_t continued_hypotheses = 3;

constexpr std::array<std::array<float, 3>, 11> initial_rotations = {{{0.0f, 0.0f, 0.0f},
                                                                     {0.0f, -0.5236f, 0.0f},
                                                                     {0.0f, 0.5236f, 0.0f},
                                                                     {0.0f, -0.96f, 0.0f},
                                                                     {0.0f, 0.96f, 0.0f},
                                                                     {0.0f, 0.0f, 0.5236f},
                                                                     {0.0f, 0.0f, -0.5236f},
                                                                     {0.0f, -1.57f, 0.0f},
                                                                     {0.0f, 1.57f, 0.0f},
                                                                     {0.0f, -1.22f, 0.698f},
                                                                     {0.0f, 1.22f, -0.698f}}};

// Prepares the experts for a fit that starts with this rotation.
void prepare_views(const PatchExperts& experts, const std::vector<int>& windows,
                   const std::array<float, 3>& rotation) {
    GlobalParameters global;
    global.rx = rotation[0];
    global.ry = rotation[1];
    global.rz = rotation[2];
    const int scales = int(std::min(windows.size(), experts.scales().size()));
    for (int scale = scales - 1; scale >= 0; --scale)
        if (const int window = windows[std::size_t(scale)]; window != 0)
            experts.prepare(scale, experts.nearest_view(scale, global), window);
}

}  // namespace

void prepare_first_fits(const LandmarkModel& model, const LandmarkParameters& parameters,
                        bool all_rotations) {
    if (parameters.refine_parts)
        for (const PartModel& part : model.parts)
            prepare_views(*part.model.experts, part.parameters.windows, initial_rotations.front());
    for (std::size_t h = all_rotations ? initial_rotations.size() : 1; h-- > 0;)
        prepare_views(*model.face.experts, parameters.fit.windows, initial_rotations[h]);
}

FaceState::FaceState(const LandmarkModel& model) : face(*model.face.pdm) {
    for (const PartModel& part : model.parts) parts.emplace_back(*part.model.pdm);
}

void FaceState::reset(const LandmarkModel& model) {
    face = ShapeState(*model.face.pdm);
    initialised = false;
    ok = false;
    certainty = 0.0f;
    failures = -1;
}

FaceFitter::FaceFitter(std::shared_ptr<const LandmarkModel> model, const LandmarkParameters& parameters)
    : model_(std::move(model)), parameters_(parameters), face_fitter_(model_->face, parameters_.fit) {
    parameters_.check();
    for (const PartModel& part : model_->parts)
        part_fitters_.push_back(std::make_unique<ShapeFitter>(part.model, part.parameters));
    part_landmarks_.resize(part_fitters_.size());
}

bool FaceFitter::fit(GreyPicture& grey, const std::vector<int>& windows, FaceState& state) {
    return complete(grey, fit_main(face_fitter_, grey, windows, state.face), state);
}

bool FaceFitter::fit_main(ShapeFitter& fitter, GreyPicture& grey, const std::vector<int>& windows,
                          ShapeState& face) {
    const bool fitted = fitter.fit(grey, windows, face, trace_ == nullptr ? nullptr : &trace_->scales);
    if (trace_ != nullptr) trace_->after_scales = face;
    return fitted;
}

bool FaceFitter::fit_unjudged(GreyPicture& grey, const std::vector<int>& windows, FaceState& state) {
    const bool fitted = fit_main(face_fitter_, grey, windows, state.face);
    refine_with_parts(grey, state);
    return fitted;
}

// What follows the main fit: parts, merge, validation.
bool FaceFitter::complete(GreyPicture& grey, bool fitted, FaceState& state) {
    refine_with_parts(grey, state);
    const Verdict verdict = judge(fitted, grey, state.face, validator_scratch_);
    state.certainty = verdict.certainty;
    state.ok = verdict.accepted;
    return state.ok;
}

Verdict FaceFitter::judge(bool fitted, GreyPicture& grey, const ShapeState& face,
                          ValidatorScratch& scratch) const {
    if (!parameters_.validate || model_->validator == nullptr || !fitted)
        return {fitted, fitted ? 1.0f : 0.0f};
    const float certainty = model_->validator->confidence(face.global, grey, face.landmarks.data(), scratch);
    return {certainty > parameters_.validation_boundary, certainty};
}

void FaceFitter::refine_with_parts(GreyPicture& grey, FaceState& state) {
    if (!parameters_.refine_parts) return;
    const std::size_t n = std::size_t(model_->face.pdm->landmark_count());
    std::atomic<bool> any_used = false;
    const auto fit_part = [&](int number) {
        const auto p = std::size_t(number);
        const PartModel& part = model_->parts[p];
        const std::size_t k = std::size_t(part.model.pdm->landmark_count());
        std::vector<float>& landmarks = part_landmarks_[p];
        landmarks.assign(2 * k, 0.0f);
        for (const auto& [face, own] : part.landmarks) {
            landmarks[std::size_t(own)] = state.face.landmarks[std::size_t(face)];
            landmarks[k + std::size_t(own)] = state.face.landmarks[n + std::size_t(face)];
        }
        ShapeState& own_state = state.parts[p];
        part_fitters_[p]->fit_to_landmarks(landmarks.data(), own_state);
        const double coarsest = part.model.experts->scales().front().scaling;
        const bool used = double(state.face.global.scale) > double(part_scale_share) * coarsest;
        std::vector<ScaleTrace>* scales = nullptr;
        if (trace_ != nullptr) {
            trace_->part_landmarks_in.push_back(landmarks);
            trace_->part_starts.push_back(own_state);
            trace_->part_used.push_back(used);
            scales = &trace_->part_scales.emplace_back();
        }
        if (used) part_fitters_[p]->fit(grey, part.parameters.windows, own_state, scales);
        if (used) any_used = true;
    };
    {
        const PoolScope pool(trace_ == nullptr ? PoolScope::current() : nullptr);
        parallel_for(int(model_->parts.size()), fit_part);
    }
    if (!any_used) return;
    for (std::size_t p = 0; p < model_->parts.size(); ++p) {
        const std::size_t k = std::size_t(model_->parts[p].model.pdm->landmark_count());
        for (const auto& [face, own] : model_->parts[p].landmarks) {
            state.face.landmarks[std::size_t(face)] = state.parts[p].landmarks[std::size_t(own)];
            state.face.landmarks[n + std::size_t(face)] = state.parts[p].landmarks[k + std::size_t(own)];
        }
    }
    if (trace_ != nullptr) trace_->merged_landmarks = state.face.landmarks;
    merged_landmarks_ = state.face.landmarks;
    face_fitter_.fit_to_landmarks(merged_landmarks_.data(), state.face);
}

void FaceFitter::start_from_box(const Box& box, FaceState& state) {
    face_fitter_.start_from_box(box, 0.0f, 0.0f, 0.0f, state.face);
}

bool FaceFitter::fit_from_box(GreyPicture& grey, const Box& box, bool all_rotations, FaceState& state) {
    const int rotations = all_rotations ? int(initial_rotations.size()) : 1;
    return model_->early_termination ? terminate_early(grey, box, rotations, state)
                                     : keep_likeliest(grey, box, rotations, state);
}

// Fits of the main model from all rotations, half of them in another thread where there is one. A fit that
// ends before it has a likelihood keeps that of the rotation before, as in the reference.
std::vector<FaceFitter::RotationFit> FaceFitter::fit_rotations(GreyPicture& grey, const Box& box,
                                                               int rotations, const ShapeState& before) {
    constexpr float none = -std::numeric_limits<float>::infinity();
    std::vector<RotationFit> fits(std::size_t(rotations), RotationFit{before});
    const bool shared = rotations > 1 && PoolScope::current() != nullptr && trace_ == nullptr;
    if (shared && second_face_fitter_ == nullptr)
        second_face_fitter_ = std::make_unique<ShapeFitter>(model_->face, parameters_.fit);
    const auto fit_every = [&](ShapeFitter& fitter, int first, int step) {
        for (int h = first; h < rotations; h += step) {
            RotationFit& fit = fits[std::size_t(h)];
            const auto& r = initial_rotations[std::size_t(h)];
            fit.face.likelihood = none;
            fitter.start_from_box(box, r[0], r[1], r[2], fit.face);
            fit.fitted = fit_main(fitter, grey, parameters_.fit.windows, fit.face);
        }
    };
    if (shared)
        parallel_for(2,
                     [&](int half) { fit_every(half == 0 ? face_fitter_ : *second_face_fitter_, half, 2); });
    else
        fit_every(face_fitter_, 0, 1);
    const ShapeState* previous = &before;
    for (RotationFit& fit : fits) {
        if (fit.face.likelihood == none) {
            fit.face.likelihood = previous->likelihood;
            fit.face.landmark_likelihoods = previous->landmark_likelihoods;
        }
        previous = &fit.face;
    }
    return fits;
}

// Only the main model's likelihood decides, so parts and validation are left to the winner.
bool FaceFitter::keep_likeliest(GreyPicture& grey, const Box& box, int rotations, FaceState& state) {
    const std::vector<RotationFit> fits = fit_rotations(grey, box, rotations, state.face);
    const auto best = std::max_element(
        fits.begin(), fits.end(),
        [](const RotationFit& a, const RotationFit& b) { return a.face.likelihood < b.face.likelihood; });
    state.face = best->face;
    return complete(grey, best->fitted, state);
}

bool FaceFitter::terminate_early(GreyPicture& grey, const Box& box, int rotations, FaceState& state) {
    std::vector<int> first = parameters_.fit.windows, rest = parameters_.fit.windows;
    std::fill(first.begin() + 1, first.end(), 0);
    rest.front() = 0;

    struct Hypothesis {
        float calibrated;
        ShapeState state;
    };
    std::vector<Hypothesis> hypotheses;
    for (int h = 0; h < rotations; ++h) {
        const auto& r = initial_rotations[std::size_t(h)];
        face_fitter_.start_from_box(box, r[0], r[1], r[2], state.face);
        const int view = model_->face.experts->nearest_view(0, state.face.global);
        fit_main(face_fitter_, grey, first, state.face);
        const float calibrated = float(model_->early_termination->calibrated(state.face.likelihood, view));
        if (double(calibrated) > model_->early_termination->cutoffs[std::size_t(view)])
            return fit(grey, rest, state);
        hypotheses.push_back({calibrated, state.face});
        // The reference clears the modes of all remembered hypotheses but the last when it starts the next
        // one.
        if (h + 1 < rotations)
            std::fill(hypotheses.back().state.local.begin(), hypotheses.back().state.local.end(), 0.0f);
    }
    std::stable_sort(hypotheses.begin(), hypotheses.end(),
                     [](const Hypothesis& a, const Hypothesis& b) { return a.calibrated > b.calibrated; });

    const std::size_t count = std::min(continued_hypotheses, hypotheses.size());
    std::vector<std::pair<ShapeState, bool>> results;
    std::size_t best = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const float likelihood = state.face.likelihood;
        state.face = hypotheses[i].state;
        state.face.likelihood = likelihood;
        const bool fitted = fit_main(face_fitter_, grey, rest, state.face);
        results.emplace_back(state.face, fitted);
        if (results[i].first.likelihood > results[best].first.likelihood) best = i;
    }
    // The best result stays, but certainty and the returned verdict are those of the last one, as in the
    // reference.
    state.face = results.back().first;
    const bool last_accepted = complete(grey, results.back().second, state);
    if (best + 1 == count) return last_accepted;
    const float last_certainty = state.certainty;
    state.face = results[best].first;
    complete(grey, results[best].second, state);
    state.certainty = last_certainty;
    return last_accepted;
}

}  // namespace openface
