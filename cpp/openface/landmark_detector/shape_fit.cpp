#include "openface/landmark_detector/shape_fit.h"

#include <algorithm>
#include <cmath>

#include "openface/core/math.h"
#include "openface/landmark_detector/shape_fit_kernels.h"
#include "openface/shape/pdm_kernels.h"

namespace openface {

namespace {

constexpr float smallest_scale = 0.25f;         // below it the face is too small to fit
constexpr float early_likelihood_scale = 0.3f;  // below it the likelihood is recorded at every scale
constexpr float hidden_likelihood = -1e8f;

// Where experts find the pixels of areas of `size` pixels in their own frame around the landmarks (x of all,
// then y).
PixelBounds sampled_bounds(const std::vector<float>& landmarks, const Similarity& to_image, int size) {
    constexpr float farthest = 1e5f;       // beyond it positions are cut off, and only "everything" is safe
    constexpr float interpolation = 3.0f;  // neighbours of a position, and its rounding
    const float reach =
        (std::fabs(to_image.xx) + std::fabs(to_image.xy)) * float(size) * 0.5f + interpolation;
    const auto middle = landmarks.begin() + std::ptrdiff_t(landmarks.size() / 2);
    const auto [left, right] = std::minmax_element(landmarks.begin(), middle);
    const auto [top, bottom] = std::minmax_element(middle, landmarks.end());
    const PixelBounds bounds{*left - reach, *top - reach, *right + reach, *bottom + reach};
    for (const float bound : {bounds.left, bounds.top, bounds.right, bounds.bottom})
        if (!(std::fabs(bound) < farthest)) return everything;
    return bounds;
}

}  // namespace

ShapeFitter::ShapeFitter(const ShapeModel& model, const FitParameters& parameters)
    : model_(model), parameters_(parameters), packed_(std::size_t(2 * model.pdm->landmark_count())) {
    const std::size_t size = 2 * std::size_t(model.pdm->stride());
    for (AlignedVector<float>* buffer :
         {&base_, &current_, &previous_, &offsets_, &limited_, &shifts_, &reference_})
        buffer->assign(size, 0.0f);
    grid_.assign(size, 0);
    model.pdm->prepare(pdm_scratch_);
    weights_.resize(model.experts->scales().size() * model.experts->scales().front().views.size());
}

void ShapeFitter::project(ShapeState& state) {
    model_.pdm->shape2d(state.global, state.local.data(), current_.data(), pdm_scratch_);
    model_.pdm->pack(current_.data(), 2, state.landmarks.data());
}

void ShapeFitter::fit_to_landmarks(const float* landmarks, ShapeState& state) {
    model_.pdm->fit_to_landmarks(landmarks, state.global, state.local.data(), pdm_fit_scratch_);
    project(state);
}

void ShapeFitter::start_from_box(const Box& box, float rx, float ry, float rz, ShapeState& state) {
    std::fill(state.local.begin(), state.local.end(), 0.0f);
    state.global = model_.pdm->global_from_box(box, state.local.data(), rx, ry, rz, pdm_scratch_);
}

ShapeFitter::AdaptedParameters ShapeFitter::adapted(int scale) const {
    const FitParameters& p = parameters_;
    if (!p.adapt_to_scale) return {p.regularisation, p.sigma, p.weight_factor};
    const auto& scales = model_.experts->scales();
    const double scaling = scales[std::size_t(std::min({scale, 2, int(scales.size()) - 1}))].scaling;
    const double octaves = math::log2(scaling / 0.25);
    double regularisation = double(p.regularisation) - 15.0 * octaves;
    if (regularisation <= 0.0) regularisation = 0.001;
    return {float(regularisation), float(double(p.sigma) + 0.25 * octaves),
            float(double(p.weight_factor) + 2.0 * double(p.weight_factor) * octaves)};
}

ShapeFitter::KernelTable& ShapeFitter::kernel_table(int window, float sigma) {
    const float factor = float(-0.5 / (double(sigma) * double(sigma)));
    for (const auto& table : tables_)
        if (table->window == window && table->exponent_factor == factor) return *table;
    auto table = std::make_unique<KernelTable>();
    table->window = window;
    table->exponent_factor = factor;
    table->made.resize(std::size_t(10 * window) * std::size_t(10 * window));
    table->rows.resize(std::size_t(10 * window));
    tables_.push_back(std::move(table));
    return *tables_.back();
}

const float* ShapeFitter::kernel_at(KernelTable& table, int column, int row) {
    const std::size_t size = std::size_t(kernel_size(table.window)), columns = std::size_t(10 * table.window);
    auto& kernels = table.rows[std::size_t(row)];
    if (kernels == nullptr) kernels.reset(new float[columns * size]);
    float* kernel = kernels.get() + std::size_t(column) * size;
    const std::size_t index = std::size_t(row) * columns + std::size_t(column);
    if (!table.made[index]) {
        mean_shift_kernel(float(column) * 0.1f, float(row) * 0.1f, table.exponent_factor, table.window,
                          kernel);
        table.made[index] = true;
    }
    return kernel;
}

const LandmarkWeights& ShapeFitter::landmark_weights(int scale, int view, float weight_factor) {
    const auto& scales = model_.experts->scales();
    LandmarkWeights& kept = weights_[std::size_t(scale) * scales.front().views.size() + std::size_t(view)];
    if (kept.values.empty()) {
        const PatchExperts::View& v = scales[std::size_t(scale)].views[std::size_t(view)];
        kept.values.assign(std::size_t(model_.pdm->stride()), 0.0f);
        kept.plain = !(weight_factor > 0.0f);
        for (int i = 0; i < model_.pdm->landmark_count(); ++i)
            if (v.visible[std::size_t(i)])
                kept.values[std::size_t(i)] =
                    kept.plain ? 1.0f : weight_factor * v.confidence[std::size_t(i)];
    }
    return kept;
}

// The response maps of the landmarks in groups of eight, as the mean shifts of all iterations read them.
void ShapeFitter::interleave_responses(const PatchExperts::View& view) {
    const int n = model_.pdm->landmark_count(), size = 8 * kernel_size(maps_.window);
    const int groups = padded(n, 2 * mean_shift_lanes) / mean_shift_lanes;
    if (interleaved_maps_.size() < std::size_t(groups * size))
        interleaved_maps_.resize(std::size_t(groups * size));
    for (int g = 0; g < groups; ++g) {
        const float* maps[mean_shift_lanes];
        for (int lane = 0; lane < mean_shift_lanes; ++lane) {
            const int i = g * mean_shift_lanes + lane;
            maps[lane] = i < n && view.visible[std::size_t(i)] ? maps_.map(i) : nullptr;
        }
        interleave_maps(maps, maps_.window, maps_.stride, interleaved_maps_.data() + g * size);
    }
}

bool ShapeFitter::fit(GreyPicture& grey, const std::vector<int>& windows, ShapeState& state,
                      std::vector<ScaleTrace>* traces) {
    const Pdm& pdm = *model_.pdm;
    const PatchExperts& experts = *model_.experts;
    const int n = pdm.landmark_count(), stride = pdm.stride();
    const int scale_count = int(std::min(windows.size(), experts.scales().size()));
    bool large_enough = true;
    for (int scale = 0; scale < scale_count && large_enough; ++scale) {
        const int window = windows[std::size_t(scale)];
        if (window == 0) continue;
        const int view_index = experts.nearest_view(scale, state.global);
        const PatchExperts::View& view = experts.scales()[std::size_t(scale)].views[std::size_t(view_index)];

        pdm.shape2d(state.global, state.local.data(), base_.data(), pdm_scratch_);
        GlobalParameters frame;
        frame.scale = float(experts.scales()[std::size_t(scale)].scaling);
        pdm.project(frame, pdm_scratch_.shape3d.data(), reference_.data());
        const Similarity to_reference = similarity_between(base_.data(), base_.data() + stride,
                                                           reference_.data(), reference_.data() + stride, n);
        const Similarity to_image = inverse(to_reference);
        pdm.pack(base_.data(), 2, packed_.data());
        const PixelBounds sampled =
            sampled_bounds(packed_, to_image, window + experts.scales()[std::size_t(scale)].support - 1);
        experts.respond(
            {grey.view(sampled), packed_.data(), to_image.xx, -to_image.xy, scale, view_index, window}, maps_,
            patch_scratch_);

        const AdaptedParameters adapted_parameters = adapted(scale);
        KernelTable& table = kernel_table(window, adapted_parameters.sigma);
        const LandmarkWeights& weights =
            landmark_weights(scale, view_index, adapted_parameters.weight_factor);
        interleave_responses(view);
        ScaleTrace* trace = nullptr;
        if (traces != nullptr) {
            trace = &traces->emplace_back();
            trace->scale = scale;
            trace->view = view_index;
            trace->window = window;
            trace->regularisation = adapted_parameters.regularisation;
            trace->sigma = adapted_parameters.sigma;
            trace->weight_factor = adapted_parameters.weight_factor;
            trace->base_shape = packed_;
            trace->image_to_reference = to_reference;
            trace->responses.assign(std::size_t(n * window * window), 0.0f);
            for (int i = 0; i < n; ++i)
                for (int y = 0; view.visible[std::size_t(i)] && y < window; ++y)
                    std::copy_n(maps_.map(i) + y * maps_.stride, window,
                                trace->responses.begin() + std::ptrdiff_t((i * window + y) * window));
        }
        run_pass(true, table, weights, view, to_reference, to_image, adapted_parameters.regularisation, state,
                 trace == nullptr ? nullptr : &trace->rigid);
        const bool small = state.global.scale < early_likelihood_scale;
        run_pass(false, table, weights, view, to_reference, to_image, adapted_parameters.regularisation,
                 state, trace == nullptr ? nullptr : &trace->nonrigid);
        const bool last = scale + 1 >= scale_count || windows[std::size_t(scale) + 1] == 0;
        if (last || small) record_likelihood(view, adapted_parameters.sigma, state);
        large_enough = !(state.global.scale < smallest_scale);
    }
    project(state);
    return large_enough;
}

// Has any landmark moved since the iteration before, by the norm over all coordinates?
bool ShapeFitter::has_moved() {
    const int n = model_.pdm->landmark_count(), stride = model_.pdm->stride();
    for (int axis = 0; axis < 2; ++axis)
        for (int i = 0; i < stride; ++i) {
            const std::size_t j = std::size_t(axis * stride + i);
            shifts_[j] = i < n ? current_[j] - previous_[j] : 0.0f;
        }
    return !(euclidean_norm(shifts_.data(), 2 * stride) < 0.01f);
}

void ShapeFitter::run_pass(bool rigid, KernelTable& table, const LandmarkWeights& weights,
                           const PatchExperts::View& view, const Similarity& to_reference,
                           const Similarity& to_image, float regularisation, ShapeState& state,
                           PassTrace* trace) {
    const Pdm& pdm = *model_.pdm;
    const int stride = pdm.stride();
    const WindowTransform transform{to_reference.xx, to_reference.xy, to_reference.yx, to_reference.yy,
                                    float((table.window - 1) / 2)};
    for (int iteration = 0; iteration < parameters_.iterations; ++iteration) {
        pdm.shape2d(state.global, state.local.data(), current_.data(), pdm_scratch_);
        if (iteration > 0 && !has_moved()) break;
        previous_.swap(current_);
        window_offsets(previous_.data(), base_.data(), stride, transform, offsets_.data());
        shift_landmarks(table, view, to_image);
        const std::span<const float> increment = pdm.solve_step(
            state.global, state.local.data(), weights, shifts_.data(), regularisation, rigid, pdm_scratch_);
        pdm.update(increment, state.global, state.local.data());
        pdm.clamp(state.local.data());
        if (trace != nullptr) {
            trace->mean_shifts.emplace_back(std::size_t(2 * pdm.landmark_count()));
            pdm.pack(shifts_.data(), 2, trace->mean_shifts.back().data());
            trace->increments.emplace_back(increment.begin(), increment.end());
            trace->states.push_back(state);
        }
    }
}

void ShapeFitter::shift_landmarks(KernelTable& table, const PatchExperts::View& view,
                                  const Similarity& to_image) {
    constexpr int lanes = 2 * mean_shift_lanes;
    const int n = model_.pdm->landmark_count(), stride = model_.pdm->stride();
    const int group_size = mean_shift_lanes * kernel_size(table.window);
    window_grid(offsets_.data(), 2 * stride, float(table.window) - 0.1f, limited_.data(), grid_.data());
    std::fill(shifts_.begin(), shifts_.end(), 0.0f);
    for (int first = 0; first < n; first += lanes) {
        const float* kernels[lanes];
        float dx[lanes] = {}, dy[lanes] = {}, shift_x[lanes], shift_y[lanes];
        for (int lane = 0; lane < lanes; ++lane) {
            const int i = first + lane;
            if (i < n && view.visible[std::size_t(i)]) {
                dx[lane] = limited_[std::size_t(i)];
                dy[lane] = limited_[std::size_t(stride + i)];
                kernels[lane] = kernel_at(table, grid_[std::size_t(i)], grid_[std::size_t(stride + i)]);
            } else {
                kernels[lane] = kernel_at(table, 0, 0);
            }
        }
        const float* maps = interleaved_maps_.data() + first / mean_shift_lanes * group_size;
        mean_shifts(MeanShiftGroups{{maps, maps + group_size}, kernels, dx, dy, shift_x, shift_y},
                    table.window);
        for (int lane = 0; lane < lanes; ++lane) {
            const int i = first + lane;
            if (i >= n || !view.visible[std::size_t(i)]) continue;
            const double x = shift_x[lane], y = shift_y[lane];
            shifts_[std::size_t(i)] = float(double(to_image.xx) * x + double(to_image.xy) * y);
            shifts_[std::size_t(stride + i)] = float(double(to_image.yx) * x + double(to_image.yy) * y);
        }
    }
}

// From the offsets of the last iteration, which are those of the shape before the last update, as in the
// reference.
void ShapeFitter::record_likelihood(const PatchExperts::View& view, float sigma, ShapeState& state) {
    const int stride = model_.pdm->stride();
    float total = 0.0f;
    for (int i = 0; i < model_.pdm->landmark_count(); ++i) {
        float& own = state.landmark_likelihoods[std::size_t(i)];
        own = hidden_likelihood;
        if (!view.visible[std::size_t(i)]) continue;
        own = kernel_likelihood(maps_.map(i), maps_.window, maps_.stride, offsets_[std::size_t(i)],
                                offsets_[std::size_t(stride + i)], sigma);
        total = float(double(total) + math::log(double(own) + 1e-8));
    }
    state.likelihood = total / float(view.visible_count);
}

}  // namespace openface
