#include "openface/patch_experts/ccnf.h"

#include <algorithm>
#include <map>
#include <utility>

#include "openface/core/thread_pool.h"
#include "openface/image/area_warp.h"
#include "openface/io/binary_reader.h"
#include "openface/io/file_bytes.h"
#include "openface/patch_experts/ccnf_kernels.h"
#include "openface/patch_experts/scale_header.h"

namespace openface {

namespace {

bool is_symmetric(const Matrix<float>& matrix) {
    for (int i = 0; i < matrix.rows; ++i)
        for (int j = 0; j < i; ++j)
            if (matrix(i, j) != matrix(j, i)) return false;
    return true;
}

}  // namespace

bool CcnfExperts::LoadingLimits::spend_on_inversion(int window) {
    const double positions = double(window) * double(window);
    multiplications -= positions * positions * positions;
    return multiplications >= 0.0;
}

std::unique_ptr<CcnfExperts> CcnfExperts::load(const std::vector<std::filesystem::path>& files,
                                               int landmark_count) {
    auto experts = std::make_unique<CcnfExperts>();
    experts->landmark_count_ = landmark_count;
    LoadingLimits limits;
    for (const auto& file : files) experts->read_scale(file, limits);
    for (std::size_t scale = 0; scale < files.size(); ++scale)
        for (const Expert& expert : experts->experts_[scale])
            if (expert.neuron_count > 0) experts->check_association(files[scale], expert, limits);
    const std::size_t views = experts->scales_.front().views.size();
    experts->associations_.resize(files.size() * views * experts->edges_.size());
    for (auto& association : experts->associations_) association = std::make_unique<Association>();
    experts->number_smoothings();
    return experts;
}

void CcnfExperts::number_smoothings() {
    std::map<std::pair<float, std::vector<float>>, std::size_t> numbers;
    for (std::vector<Expert>& scale : experts_)
        for (Expert& expert : scale)
            expert.smoothing =
                numbers.try_emplace({expert.alpha_sum, expert.betas}, numbers.size()).first->second;
    smoothings_.resize(numbers.size() * edges_.size());
    for (auto& smoothing : smoothings_) smoothing = std::make_unique<Smoothing>();
}

void CcnfExperts::read_scale(const std::filesystem::path& file, LoadingLimits& limits) {
    BinaryReader reader(file);
    scales_.push_back(read_scale_header(reader, landmark_count_));
    check_view_count(reader, scales_);
    Scale& scale = scales_.back();

    limits.weight_bytes = 2 * reader.remaining() + (std::size_t(4) << 20);
    const int window_count = reader.read_count("number of window sizes", 0, 32);
    edges_.clear();
    for (int i = 0; i < window_count; ++i) {
        EdgeComponents edges;
        edges.window = reader.read_count("window size", 1, 99);
        if (edges.window % 2 == 0) reader.fail("window size", "even");
        const int component_count = reader.read_count("number of edge components", 0, 64);
        if (i > 0 && component_count != int(edges_.front().matrices.size()))
            reader.fail("number of edge components", "differs between window sizes");
        // At first use there is an inversion for every landmark.
        if (component_count > 0 && !limits.spend_on_inversion(edges.window))
            reader.fail("window size", "the inversion of its association matrices takes too much work");
        for (int k = 0; k < component_count; ++k) {
            Matrix<float> component = reader.read_float_matrix("edge component");
            if (component.rows != edges.positions() || component.cols != edges.positions())
                reader.fail("edge component", "its size is not the square of the window size");
            if (!is_symmetric(component)) reader.fail("edge component", "not symmetric");
            edges.add(std::move(component));
        }
        edges_.push_back(std::move(edges));
    }

    const std::size_t beta_count = edges_.empty() ? 0 : edges_.front().matrices.size();
    std::vector<Expert> experts;
    experts.reserve(std::min(scale.views.size() * std::size_t(landmark_count_), reader.remaining() / 20));
    for (View& view : scale.views)
        for (int i = 0; i < landmark_count_; ++i) {
            experts.push_back(read_expert(reader, beta_count, limits));
            const Expert& latest = experts.back();
            if (latest.neuron_count == 0) {
                if (view.visible[std::size_t(i)])
                    reader.fail("patch expert", "a visible landmark has no neurons");
                continue;
            }
            scale.support = std::max(scale.support, latest.support);
            view.confidence[std::size_t(i)] = float(reader.read_double("confidence"));
        }
    reader.expect_end();
    experts_.push_back(std::move(experts));
}

CcnfExperts::Expert CcnfExperts::read_expert(BinaryReader& reader, std::size_t beta_count,
                                             LoadingLimits& limits) const {
    Expert expert;
    if (reader.read_int("patch expert code") != 5) reader.fail("patch expert code", "5 (CCNF) expected");
    expert.support = read_support(reader, 3, ccnf_largest_support);
    expert.neuron_count = reader.read_count("number of neurons", 0, 256);
    if (expert.neuron_count == 0) {
        reader.read_int("padding");
        return expert;
    }
    const int support = expert.support;
    const int stride = padded(expert.neuron_count);
    // A neuron takes at least 44 bytes and its weights; refuse the count before memory is taken for it.
    const std::size_t neuron_bytes = 44 + 4 * std::size_t(support) * std::size_t(support);
    if (reader.remaining() / neuron_bytes < std::size_t(expert.neuron_count))
        reader.fail("number of neurons", "more than the rest of the file can hold");
    const std::size_t weight_count = std::size_t(support * support * stride);
    if (weight_count * sizeof(float) > limits.weight_bytes)
        reader.fail("number of neurons", "experts of so few neurons take too much memory");
    limits.weight_bytes -= weight_count * sizeof(float);
    expert.weights.assign(weight_count, 0.0f);
    expert.biases.assign(std::size_t(stride), 0.0f);
    for (int k = 0; k < expert.neuron_count; ++k) {
        if (reader.read_int("neuron code") != 2) reader.fail("neuron code", "2 expected");
        if (reader.read_int("neuron kind") != 0)
            reader.fail("neuron kind", "only 0 (intensity) is supported");
        const double norm = reader.read_double("norm");
        const double bias = reader.read_double("bias");
        const double alpha = reader.read_double("alpha");
        if (norm < 0.0) reader.fail("norm", "negative");
        if (alpha < 0.0) reader.fail("alpha", "negative");
        const Matrix<float> weights = reader.read_float_matrix("weights");
        if (weights.rows != support || weights.cols != support)
            reader.fail("weights", "their size is not the support");
        for (int x = 0; x < support; ++x)
            for (int y = 0; y < support; ++y)
                expert.weights[std::size_t((x * support + y) * stride + k)] = weights(y, x) * float(norm);
        expert.biases[std::size_t(k)] = float(bias);
        expert.twice_alphas.push_back(alpha > 1e-4 ? 2.0 * alpha : 0.0);
        expert.alpha_sum = float(double(expert.alpha_sum) + alpha);
    }
    if (!(expert.alpha_sum > 0.0f)) reader.fail("alpha", "the sum over the neurons is not positive");
    for (std::size_t j = 0; j < beta_count; ++j) expert.betas.push_back(float(reader.read_double("beta")));
    return expert;
}

// The edge matrices in use are those of the last file, so every scale's experts have to go with them.
// The published ones are graph Laplacians and the betas positive, so nothing has to be factorised to know.
void CcnfExperts::check_association(const std::filesystem::path& file, const Expert& expert,
                                    LoadingLimits& limits) const {
    for (const EdgeComponents& edges : edges_) {
        if (expert.betas.size() != edges.matrices.size())
            throw_model_error(file, "number of edge components", "differs between the scales");
        if (edges.matrices.empty() || surely_positive(edges, expert.alpha_sum, expert.betas)) continue;
        if (!limits.spend_on_inversion(edges.window))
            throw_model_error(file, "association matrices", "their inversion takes too much work");
        AssociationScratch scratch;
        AlignedVector<float> matrix(edges.association_size());
        if (!make_association(edges, expert.alpha_sum, expert.betas, scratch, matrix.data()))
            throw_model_error(file, "association matrix", "not positive definite");
    }
}

const CcnfExperts::Association* CcnfExperts::association(int scale, int view, int window) const {
    const auto edges = std::find_if(edges_.begin(), edges_.end(),
                                    [&](const EdgeComponents& e) { return e.window == window; });
    if (edges == edges_.end() || edges->matrices.empty()) return nullptr;
    const std::size_t views = scales_.front().views.size();
    const std::size_t index = (std::size_t(scale) * views + std::size_t(view)) * edges_.size() +
                              std::size_t(edges - edges_.begin());
    Association& kept = *associations_[index];
    std::call_once(kept.once, [&] {
        kept.bytes = edges->association_size() * sizeof(float);
        kept.matrices.resize(std::size_t(landmark_count_));
        const View& shown = scales_[std::size_t(scale)].views[std::size_t(view)];
        constexpr int at_a_time = 4;  // landmarks that share working memory
        parallel_for((landmark_count_ + at_a_time - 1) / at_a_time, [&](int group) {
            AssociationScratch scratch;
            const int end = std::min((group + 1) * at_a_time, landmark_count_);
            for (int i = group * at_a_time; i < end; ++i)
                if (shown.visible[std::size_t(i)])
                    kept.matrices[std::size_t(i)] =
                        smoothing(expert(scale, view, i), std::size_t(edges - edges_.begin()), scratch);
        });
    });
    return &kept;
}

const float* CcnfExperts::smoothing(const Expert& expert, std::size_t edges,
                                    AssociationScratch& scratch) const {
    Smoothing& kept = *smoothings_[expert.smoothing * edges_.size() + edges];
    std::call_once(kept.once, [&] {
        kept.matrix = UninitialisedFloats(edges_[edges].association_size());
        make_association(edges_[edges], expert.alpha_sum, expert.betas, scratch, kept.matrix.data());
    });
    return kept.matrix.data();
}

void CcnfExperts::respond(const ResponseQuery& query, ResponseMaps& maps, PatchScratch& scratch) const {
    check_query(query, *this);
    const View& view = scales_[std::size_t(query.scale)].views[std::size_t(query.view)];
    const int window = query.window, n = landmark_count_;
    maps.reshape(n, window);
    const Association* smoothing = association(query.scale, query.view, window);
    const int positions = padded(window * window, 16) + 96;
    const auto grow = [](AlignedVector<float>& buffer, int needed) {
        if (buffer.size() < std::size_t(needed)) buffer.resize(std::size_t(needed));
    };
    grow(scratch.maps, (ccnf_batch_size + 1) * positions);
    float* smoothed = scratch.maps.data() + ccnf_batch_size * positions;
    CcnfBatch batch;
    int landmarks[ccnf_batch_size];
    for (int i = 0; i < n;) {
        // Experts of one support that follow each other.
        int support = 0, stride = 0;
        for (batch.count = 0; i < n && batch.count < ccnf_batch_size; ++i) {
            if (!view.visible[std::size_t(i)]) continue;
            const Expert& e = expert(query.scale, query.view, i);
            if (batch.count > 0 && e.support != support) break;
            support = e.support;
            const int size = window + support - 1;
            stride = padded(size);
            const int area_size = size * stride + 16;
            grow(scratch.areas, ccnf_batch_size * area_size);
            float* area = scratch.areas.data() + batch.count * area_size;
            const AreaMap map = area_map(query.a, query.b, query.landmarks[i], query.landmarks[n + i], size);
            sample_area(query.grey, map, size, area, stride);
            batch.areas[batch.count] = area;
            batch.neurons[batch.count] = {e.weights.data(), e.biases.data(), e.twice_alphas.data(),
                                          e.neuron_count, padded(e.neuron_count)};
            batch.responses[batch.count] = scratch.maps.data() + batch.count * positions;
            batch.upcoming[batch.count] =
                smoothing == nullptr ? e.weights.data() : smoothing->matrices[std::size_t(i)];
            landmarks[batch.count++] = i;
        }
        if (batch.count == 0) break;
        batch.upcoming_bytes = smoothing == nullptr ? 0 : smoothing->bytes;
        grow(scratch.patches, ccnf_scratch_size(window, support));
        ccnf_neuron_responses(batch, stride, window, support, scratch.patches.data());
        for (int k = 0; k < batch.count; ++k) {
            const int landmark = landmarks[k];
            if (smoothing != nullptr) {
                associate(smoothing->matrices[std::size_t(landmark)], window * window, batch.responses[k],
                          smoothed);
                ccnf_write_map(smoothed, window, 1.0f, maps.map(landmark), maps.stride);
            } else {
                const Expert& e = expert(query.scale, query.view, landmark);
                ccnf_write_map(batch.responses[k], window, association_without_edges(e.alpha_sum, window),
                               maps.map(landmark), maps.stride);
            }
        }
    }
}

}  // namespace openface
