#include "openface/patch_experts/ccnf.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "openface/image/area_warp.h"
#include "openface/io/binary_reader.h"
#include "openface/io/file_bytes.h"
#include "openface/patch_experts/ccnf_kernels.h"
#include "openface/patch_experts/scale_header.h"

namespace openface {

namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Block = Eigen::Map<const RowMatrix>;

// A window coordinate's even (i < (w+1)/2) or odd basis function: positions and signs of its one or two
// non-zeros. The basis is orthogonal but not normalised: even functions of a pair have length sqrt(2), the
// middle one length 1.
struct Mirror {
    int window;
    int even() const { return (window + 1) / 2; }
    int count(int parity) const { return parity == 0 ? even() : window / 2; }
    bool is_middle(int i) const { return 2 * i + 1 == window; }
    double squared_length(int parity, int i) const { return parity == 0 && is_middle(i) ? 1.0 : 2.0; }
};

// Whether the component equals itself after flipping both of its positions left-right, and after flipping
// top-bottom.
bool commutes_with_flips(const Matrix<float>& c, int window) {
    for (int y1 = 0; y1 < window; ++y1)
        for (int x1 = 0; x1 < window; ++x1)
            for (int y2 = 0; y2 < window; ++y2)
                for (int x2 = 0; x2 < window; ++x2) {
                    const float v = c(y1 * window + x1, y2 * window + x2);
                    const int fx1 = window - 1 - x1, fx2 = window - 1 - x2;
                    const int fy1 = window - 1 - y1, fy2 = window - 1 - y2;
                    if (v != c(y1 * window + fx1, y2 * window + fx2) ||
                        v != c(fy1 * window + x1, fy2 * window + x2) ||
                        v != c(y2 * window + x2, y1 * window + x1))
                        return false;
                }
    return true;
}

// The component between the basis functions of one parity pair. Because it commutes with flips, applying it
// to a basis function and reading the result at that function's first position gives the block's entry.
Matrix<double> parity_block(const Matrix<float>& c, int window, int parity_y, int parity_x) {
    const Mirror mirror{window};
    const int rows = mirror.count(parity_y), cols = mirror.count(parity_x);
    Matrix<double> block(rows * cols, rows * cols);
    const double sign_y = parity_y == 0 ? 1.0 : -1.0, sign_x = parity_x == 0 ? 1.0 : -1.0;
    for (int y1 = 0; y1 < rows; ++y1)
        for (int x1 = 0; x1 < cols; ++x1)
            for (int y2 = 0; y2 < rows; ++y2)
                for (int x2 = 0; x2 < cols; ++x2) {
                    const int from = y1 * window + x1;
                    const int flip_y = window - 1 - y2, flip_x = window - 1 - x2;
                    double v = c(from, y2 * window + x2);
                    if (!mirror.is_middle(x2)) v += sign_x * c(from, y2 * window + flip_x);
                    if (!mirror.is_middle(y2)) v += sign_y * c(from, flip_y * window + x2);
                    if (!mirror.is_middle(x2) && !mirror.is_middle(y2))
                        v += sign_x * sign_y * c(from, flip_y * window + flip_x);
                    block(y1 * cols + x1, y2 * cols + x2) = v;
                }
    return block;
}

// The same operator in the normalised basis, where it is symmetric.
RowMatrix symmetric_form(const RowMatrix& block, int window, int parity_y, int parity_x) {
    const Mirror mirror{window};
    const int cols = mirror.count(parity_x);
    Eigen::VectorXd length(block.rows());
    for (int i = 0; i < int(block.rows()); ++i)
        length[i] =
            std::sqrt(mirror.squared_length(parity_y, i / cols) * mirror.squared_length(parity_x, i % cols));
    return length.asDiagonal() * block * length.cwiseInverse().asDiagonal();
}

}  // namespace

bool CcnfExperts::LoadingLimits::spend_on_blocks(int window) {
    const double rows = double(window * window) / 4.0;
    multiplications -= 4.0 * (rows * rows * rows / 3.0 + 8.0 * rows * rows);
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
    return experts;
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
        Edges edges;
        edges.window = reader.read_count("window size", 1, 99);
        const int component_count = reader.read_count("number of edge components", 0, 64);
        if (i > 0 && component_count != int(edges_.front().components.size()))
            reader.fail("number of edge components", "differs between window sizes");
        const int side = edges.window * edges.window;
        for (int k = 0; k < component_count; ++k) {
            if (!limits.spend_on_blocks(edges.window))
                reader.fail("edge components", "their factorisation takes too much work");
            const Matrix<float> component = reader.read_float_matrix("edge component");
            if (component.rows != side || component.cols != side)
                reader.fail("edge component", "its size is not the square of the window size");
            if (edges.window % 2 == 0 || !commutes_with_flips(component, edges.window))
                reader.fail("edge component", "not symmetric, or not the same after a flip of the window");
            std::array<Matrix<double>, 4> blocks;
            bool positive = true;
            for (int parity = 0; parity < 4; ++parity) {
                blocks[std::size_t(parity)] = parity_block(component, edges.window, parity / 2, parity % 2);
                const Matrix<double>& block = blocks[std::size_t(parity)];
                RowMatrix shifted = symmetric_form(Block(block.data.data(), block.rows, block.cols),
                                                   edges.window, parity / 2, parity % 2);
                shifted.diagonal().array() += 1e-4;
                positive = positive && (block.rows == 0 || shifted.llt().info() == Eigen::Success);
            }
            edges.components.push_back(std::move(blocks));
            edges.positive.push_back(positive);
        }
        edges_.push_back(std::move(edges));
    }

    const std::size_t beta_count = edges_.empty() ? 0 : edges_.front().components.size();
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
            view.confidence[std::size_t(i)] = float(reader.read_double("confidence"));
        }
    reader.expect_end();
    experts_.push_back(std::move(experts));
}

CcnfExperts::Expert CcnfExperts::read_expert(BinaryReader& reader, std::size_t beta_count,
                                             LoadingLimits& limits) const {
    Expert expert;
    if (reader.read_int("patch expert code") != 5) reader.fail("patch expert code", "5 (CCNF) expected");
    expert.support = read_support(reader, 3, 31);
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
        double total = 0.0;
        for (int x = 0; x < support; ++x)
            for (int y = 0; y < support; ++y) {
                const float w = weights(y, x) * float(norm);
                expert.weights[std::size_t((x * support + y) * stride + k)] = w;
                total += w;
            }
        expert.weight_sums.push_back(float(total));
        expert.biases.push_back(float(bias));
        expert.twice_alphas.push_back(alpha > 1e-4 ? float(2.0 * alpha) : 0.0f);
        expert.alpha_sum = float(double(expert.alpha_sum) + alpha);
    }
    if (!(expert.alpha_sum > 0.0f)) reader.fail("alpha", "the sum over the neurons is not positive");
    for (std::size_t j = 0; j < beta_count; ++j) expert.betas.push_back(float(reader.read_double("beta")));
    return expert;
}

// The edge matrices in use are those of the last file, so every scale's experts have to go with them.
// The published components are graph Laplacians and the betas positive, so nothing has to be factorised to
// know.
void CcnfExperts::check_association(const std::filesystem::path& file, const Expert& expert,
                                    LoadingLimits& limits) const {
    for (const Edges& edges : edges_) {
        if (expert.betas.size() != edges.components.size())
            throw_model_error(file, "number of edge components", "differs between the scales");
        bool obvious = true;
        for (std::size_t j = 0; j < edges.components.size(); ++j)
            obvious = obvious && expert.betas[j] >= 0.0f && edges.positive[j];
        if (obvious) continue;
        if (!limits.spend_on_blocks(edges.window))
            throw_model_error(file, "association matrices", "their factorisation takes too much work");
        for (int parity = 0; parity < 4; ++parity) {
            const int size = edges.components.front()[std::size_t(parity)].rows;
            if (size == 0) continue;
            RowMatrix q = RowMatrix::Identity(size, size) * double(expert.alpha_sum);
            for (std::size_t j = 0; j < edges.components.size(); ++j)
                q += double(expert.betas[j]) *
                     Block(edges.components[j][std::size_t(parity)].data.data(), size, size);
            if (symmetric_form(q, edges.window, parity / 2, parity % 2).llt().info() != Eigen::Success)
                throw_model_error(file, "association matrix", "not positive definite");
        }
    }
}

// S = inverse(2 (sum of alphas * I + sum of beta_j C_j)), block by block, for every expert of the view.
const CcnfExperts::Association* CcnfExperts::association(int scale, int view, int window) const {
    const auto edges =
        std::find_if(edges_.begin(), edges_.end(), [&](const Edges& e) { return e.window == window; });
    if (edges == edges_.end() || edges->components.empty()) return nullptr;
    const std::size_t views = scales_.front().views.size();
    const std::size_t index = (std::size_t(scale) * views + std::size_t(view)) * edges_.size() +
                              std::size_t(edges - edges_.begin());
    Association& kept = *associations_[index];
    std::call_once(kept.once, [&] {
        for (int parity = 0; parity < 4; ++parity) {
            const int size = edges->components.front()[std::size_t(parity)].rows;
            kept.expert_size += std::size_t(size) * std::size_t(padded(size));
        }
        kept.matrices.assign(kept.expert_size * std::size_t(landmark_count_), 0.0f);
        for (int i = 0; i < landmark_count_; ++i) {
            const Expert& e = expert(scale, view, i);
            if (e.neuron_count == 0) continue;
            float* out = kept.matrices.data() + std::size_t(i) * kept.expert_size;
            for (int parity = 0; parity < 4; ++parity) {
                const int size = edges->components.front()[std::size_t(parity)].rows;
                if (size == 0) continue;
                RowMatrix q = RowMatrix::Identity(size, size) * double(e.alpha_sum);
                for (std::size_t j = 0; j < edges->components.size(); ++j)
                    q += double(e.betas[j]) *
                         Block(edges->components[j][std::size_t(parity)].data.data(), size, size);
                const Mirror mirror{window};
                const int cols = mirror.count(parity % 2);
                const RowMatrix symmetric = symmetric_form(2.0 * q, window, parity / 2, parity % 2);
                const RowMatrix inverse = symmetric.llt().solve(RowMatrix::Identity(size, size));
                // The kernel's coefficients are plain sums and differences; what an even or odd function of a
                // pair lacks in normalisation (1/2 per axis) goes into the matrix.
                const auto length = [&](int k) {
                    return std::sqrt(mirror.squared_length(parity / 2, k / cols) *
                                     mirror.squared_length(parity % 2, k % cols));
                };
                const int height = padded(size);
                for (int j = 0; j < size; ++j)
                    for (int k = 0; k < size; ++k)
                        out[std::size_t(j) * std::size_t(height) + std::size_t(k)] =
                            float(inverse(k, j) / (length(k) * length(j)));
                out += std::size_t(size) * std::size_t(height);
            }
        }
    });
    return &kept;
}

void CcnfExperts::respond(const ResponseQuery& query, ResponseMaps& maps, PatchScratch& scratch) const {
    check_query(query, *this);
    const View& view = scales_[std::size_t(query.scale)].views[std::size_t(query.view)];
    const int window = query.window, n = landmark_count_;
    maps.reshape(n, window);
    const Association* smoothing = association(query.scale, query.view, window);
    const int positions = padded(window * window, 16) + 16;
    if (scratch.maps.size() < std::size_t(3 * positions + 4 * padded(window) * (window + 2)))
        scratch.maps.resize(std::size_t(3 * positions + 4 * padded(window) * (window + 2)));
    float* responses = scratch.maps.data();
    float* smoothed = responses + positions;
    float* work = smoothed + positions;
    for (int i = 0; i < n; ++i) {
        if (!view.visible[std::size_t(i)]) continue;
        const Expert& e = expert(query.scale, query.view, i);
        const int size = window + e.support - 1, stride = padded(size);
        if (scratch.areas.size() < std::size_t(size * stride + 16))
            scratch.areas.resize(std::size_t(size * stride + 16));
        const std::size_t needed = std::size_t(ccnf_scratch_size(window, e.support));
        if (scratch.patches.size() < needed) scratch.patches.resize(needed);
        const AreaMap map = area_map(query.a, query.b, query.landmarks[i], query.landmarks[n + i], size);
        sample_area(query.grey, map, size, scratch.areas.data(), stride);
        const CcnfNeurons neurons{e.weights.data(),      e.weight_sums.data(), e.biases.data(),
                                  e.twice_alphas.data(), e.neuron_count,       padded(e.neuron_count)};
        ccnf_neuron_responses(scratch.areas.data(), stride, window, e.support, neurons,
                              scratch.patches.data(), responses);
        if (smoothing != nullptr) {
            ccnf_associate(responses, window,
                           smoothing->matrices.data() + std::size_t(i) * smoothing->expert_size, work,
                           smoothed);
            ccnf_write_map(smoothed, window, 1.0f, maps.map(i), maps.stride);
        } else {
            ccnf_write_map(responses, window, 1.0f / (2.0f * e.alpha_sum), maps.map(i), maps.stride);
        }
    }
}

}  // namespace openface
