#include "openface/face_analyser/face_analyser.h"

#include <algorithm>
#include <cmath>

#include "openface/core/error.h"
#include "openface/face_analyser/post_processing.h"

namespace openface {

namespace {

constexpr std::uint32_t most_pending = 3000;  // successful frames whose predictions are repeated at the end
constexpr double largest_coordinate = 1e6;    // px; beyond any image and any fit that is worth aligning
constexpr AlignmentOptions
    unit_alignment{};  // 112 x 112, 0.7, masked, colour: no option changes action units

[[noreturn]] void refuse(const std::string& message) {
    throw Error(Error::Code::input, message);
}

}  // namespace

FaceAnalyser::FaceAnalyser(std::shared_ptr<const FaceAnalyserModel> model, bool live, bool history)
    : model_(std::move(model)), live_(live), keeps_history_(history) {
    const Predictors& predictors = model_->predictors();
    const std::size_t features = std::size_t(predictors.feature_count());
    const std::size_t padded_count = std::size_t(predictors.padded_count());
    median_features_.assign(features, 0.0);
    median_dots_.assign(padded_count, 0.0);
    correction_ = LiveCorrection(int(predictors.intensities().size()));
    local_.assign(std::size_t(padded(model_->pdm().mode_count())), 0.0f);
    planes_.resize(unit_alignment.size);
    descriptor_.assign(fhog::padded_length, 0.0f);
    features_.assign(features, 0.0);
    dots_.assign(padded_count, 0.0);
    base_.assign(padded_count, 0.0);
    intensity_.assign(predictors.intensities().size(), 0.0);
    presence_.assign(predictors.presences().size(), 0.0);
    corners_.assign(2 * face_landmark_count, 0.0f);
}

void FaceAnalyser::check(const ViewU8& frame, const float* landmarks) const {
    if (frame.empty()) refuse("image: it has no pixels");
    if (frame.channels != 1 && frame.channels != 3 && frame.channels != 4)
        refuse("image: it must have 1, 3 (B, G, R) or 4 channels");
    for (int i = 0; i < 2 * face_landmark_count; ++i)
        if (!(std::fabs(landmarks[i]) <= largest_coordinate))
            refuse("landmarks: landmark " + std::to_string(i % face_landmark_count) +
                   " is not a finite position near an image");
}

void FaceAnalyser::fit(const float* landmarks) {
    constexpr std::size_t count = 2 * face_landmark_count;
    if (landmarks_.size() == count && std::equal(landmarks_.begin(), landmarks_.end(), landmarks)) return;
    landmarks_.clear();
    model_->pdm().fit_to_landmarks(landmarks, global_, local_.data(), fit_scratch_);
    landmarks_.assign(landmarks, landmarks + count);
}

void FaceAnalyser::align_for_units(const ViewU8& frame, const float* landmarks) {
    const AlignmentWarp warp = alignment_warp(landmarks, model_->mean_shape().data(), global_.tx, global_.ty,
                                              unit_alignment.size, unit_alignment.scale);
    mask_points(landmarks, warp, unit_alignment.scale, corners_.data());
    rasterise_mask(model_->triangles(), corners_.data(), planes_);
    warp_into_planes(frame, warp, planes_, alignment_scratch_);
}

void FaceAnalyser::describe() {
    fhog::describe(planes_.blue.data(), planes_.green.data(), planes_.red.data(), planes_.stride,
                   fhog_scratch_, descriptor_.data());
    std::copy_n(descriptor_.begin(), fhog::length, features_.begin());
    // Geometry: V q, then q, in double.
    const Pdm& pdm = model_->pdm();
    const int n = pdm.landmark_count(), m = pdm.mode_count();
    double* deviation = features_.data() + fhog::length;
    std::fill_n(deviation, 3 * n, 0.0);
    for (int k = 0; k < m; ++k) {
        const double weight = local_[std::size_t(k)];
        for (int axis = 0; axis < 3; ++axis) {
            const float* mode = pdm.mode(k, axis);
            for (int i = 0; i < n; ++i) deviation[axis * n + i] += mode[i] * weight;
        }
        deviation[3 * n + k] = weight;
    }
}

void FaceAnalyser::clear_face() {
    for (AlignedVector<std::uint8_t>* plane : {&planes_.blue, &planes_.green, &planes_.red})
        std::fill(plane->begin(), plane->end(), std::uint8_t(0));
    std::fill(descriptor_.begin(), descriptor_.end(), 0.0f);
    std::fill(features_.begin(), features_.end(), 0.0);
    std::fill(intensity_.begin(), intensity_.end(), 0.0);
    std::fill(presence_.begin(), presence_.end(), 0.0);
}

void FaceAnalyser::update_medians(bool success) {
    const bool odd = ++frame_counter_ % 2 == 1;
    if (!odd || !model_->predictors().any_dynamic()) return;
    if (!medians_)
        medians_ = Medians{RunningMedian(fhog::length, appearance_range),
                           RunningMedian(model_->geometry_length(), geometry_range)};
    const std::span<const double> features(features_);
    if (success) {
        medians_->appearance.add(features.first(fhog::length));
        medians_->geometry.add(features.subspan(fhog::length));
    } else {
        medians_->appearance.add_failed();
        medians_->geometry.add_failed();
    }
    gather_medians();
}

void FaceAnalyser::gather_medians() {
    const auto appearance = medians_->appearance.medians(), geometry = medians_->geometry.medians();
    std::copy(geometry.begin(), geometry.end(),
              std::copy(appearance.begin(), appearance.end(), median_features_.begin()));
    median_dots_stale_ = true;
}

void FaceAnalyser::predict() {
    const Predictors& predictors = model_->predictors();
    if (median_dots_stale_)
        predictors.dots(features_.data(), median_features_.data(), dots_.data(), median_dots_.data());
    else
        predictors.dots(features_.data(), dots_.data());
    median_dots_stale_ = false;
    const int intensities = int(intensity_.size());
    for (int p = 0; p < predictors.count(); ++p) {
        base_[std::size_t(p)] = dots_[std::size_t(p)] + predictors.offset(p);
        if (p < intensities)
            intensity_[std::size_t(p)] = decision(p);
        else
            presence_[std::size_t(p - intensities)] = predictors.label(p - intensities, decision(p));
    }
}

void FaceAnalyser::append(bool success) {
    const std::size_t count = std::size_t(model_->predictors().count());
    const std::size_t start = history_.values.size();
    history_.values.resize(start + count, 0.0);
    if (!success) {
        history_.kinds.push_back(Kind::failed);
        return;
    }
    const Kind kind = history_.pending < most_pending ? Kind::pending : Kind::final;
    history_.pending += kind == Kind::pending;
    history_.kinds.push_back(kind);
    for (std::size_t p = 0; p < count; ++p)
        history_.values[start + p] = kind == Kind::pending ? base_[p] : decision(int(p));
}

AnalysedFace FaceAnalyser::result() const {
    return {intensity_, presence_, std::span(descriptor_).first(fhog::length),
            std::span(features_).subspan(fhog::length), global_};
}

AnalysedFace FaceAnalyser::analyse(const ViewU8& frame, const float* landmarks, bool success) {
    if (success) {
        check(frame, landmarks);
        fit(landmarks);
        align_for_units(frame, landmarks);
        describe();
    } else {
        clear_face();
    }
    update_medians(success);
    if (success) predict();
    if (keeps_history_) append(success);
    if (live_ && success) correction_.apply(intensity_);
    return result();
}

AnalysedFace FaceAnalyser::analyse_static(const ViewU8& frame, const float* landmarks) {
    if (model_->predictors().any_dynamic())
        throw Error(
            Error::Code::state,
            "single images need static predictors: the dynamic ones compare a frame with others of the same "
            "person's video");
    check(frame, landmarks);
    fit(landmarks);
    align_for_units(frame, landmarks);
    describe();
    predict();
    for (double& intensity : intensity_) intensity = std::clamp(intensity, 0.0, 5.0);
    return result();
}

void FaceAnalyser::align(const ViewU8& frame, const float* landmarks, bool success,
                         const AlignmentOptions& options, ImageU8& image) {
    if (options.size < 1 || options.size > largest_aligned_size)
        refuse("size: must be between 1 and " + std::to_string(largest_aligned_size) + " px");
    if (!(options.scale > 0.0 && options.scale <= 1000.0)) refuse("scale: must be above 0 and at most 1000");
    if (!success) {
        image.resize(options.size, options.size, options.grey ? 1 : 3);
        std::fill_n(image.data(), image.stride() * options.size, std::uint8_t(0));
        return;
    }
    check(frame, landmarks);
    fit(landmarks);
    const AlignmentWarp warp = alignment_warp(landmarks, model_->mean_shape().data(), global_.tx, global_.ty,
                                              options.size, options.scale);
    output_planes_.resize(options.size);
    if (options.mask) {
        mask_points(landmarks, warp, options.scale, corners_.data());
        rasterise_mask(model_->triangles(), corners_.data(), output_planes_);
    } else {
        std::fill(output_planes_.mask.begin(), output_planes_.mask.end(), -1);
    }
    warp_into_planes(frame, warp, output_planes_, alignment_scratch_);
    interleave(output_planes_, options.grey, image);
}

PostProcessed FaceAnalyser::finish(bool smooth) const {
    if (!keeps_history_)
        throw Error(Error::Code::state, "this face analyser keeps no history, so it has no frames to finish");
    const Predictors& predictors = model_->predictors();
    const std::size_t count = std::size_t(predictors.count());
    const std::size_t intensities = intensity_.size(), presences = presence_.size();
    const std::size_t all = history_.kinds.size(), earlier = history_.earlier;
    PostProcessed out;
    out.frames = all - earlier;
    out.intensity.resize(all * intensities);
    out.presence.resize(all * presences);
    AlignedVector<double> median_dots(median_dots_);
    if (median_dots_stale_) predictors.dots(median_features_.data(), median_dots.data());
    std::vector<std::uint8_t> success(all);
    for (std::size_t i = 0; i < all; ++i) {
        success[i] = history_.kinds[i] != Kind::failed;
        if (!success[i]) continue;
        for (std::size_t p = 0; p < count; ++p) {
            const bool pending = history_.kinds[i] == Kind::pending && predictors.predictor(int(p)).dynamic;
            const double decision = history_.values[i * count + p] - (pending ? median_dots[p] : 0.0);
            if (p < intensities)
                out.intensity[i * intensities + p] = decision;
            else
                out.presence[i * presences + p - intensities] =
                    predictors.label(int(p - intensities), decision);
        }
    }
    std::vector<double> neutral(intensities), scratch;
    for (std::size_t p = 0; smooth && p < intensities; ++p) {
        const Predictor& predictor = predictors.intensities()[p];
        if (predictor.dynamic && predictor.cutoff != -1.0)
            neutral[p] = neutral_level({out.intensity.data() + p, all, intensities}, success,
                                       predictor.cutoff, scratch);
    }
    const auto drop_earlier = [&](auto& values, std::size_t width) {
        values.erase(values.begin(), values.begin() + std::ptrdiff_t(earlier * width));
    };
    drop_earlier(out.intensity, intensities);
    drop_earlier(out.presence, presences);
    drop_earlier(success, 1);
    if (!smooth) return out;
    for (std::size_t p = 0; p < intensities; ++p)
        finish_intensity({out.intensity.data() + p, out.frames, intensities}, success, neutral[p], scratch);
    for (std::size_t p = 0; p < presences; ++p)
        finish_presence({out.presence.data() + p, out.frames, presences}, scratch);
    return out;
}

void FaceAnalyser::reset(bool keep_calibration) {
    frame_counter_ = 0;
    landmarks_.clear();
    clear_face();
    history_.earlier = history_.kinds.size();
    history_.pending = 0;
    if (keep_calibration) return;
    history_ = {};
    medians_.reset();
    correction_ = LiveCorrection(int(intensity_.size()));
    std::fill(median_features_.begin(), median_features_.end(), 0.0);
    std::fill(median_dots_.begin(), median_dots_.end(), 0.0);
    median_dots_stale_ = false;
}

std::span<const double> FaceAnalyser::appearance_median() const {
    return std::span(median_features_).first(fhog::length);
}

std::span<const double> FaceAnalyser::geometry_median() const {
    return std::span(median_features_).subspan(fhog::length);
}

}  // namespace openface
