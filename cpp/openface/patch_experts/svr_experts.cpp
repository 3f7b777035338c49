#include "openface/patch_experts/svr_experts.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "openface/image/area_warp.h"
#include "openface/io/text_reader.h"
#include "openface/patch_experts/scale_header.h"

namespace openface {

namespace {

constexpr int expert_code = 3;
constexpr int modality_code = 2;

void read_code(TextReader& reader, int expected, const char* field) {
    if (const int code = reader.read_int(field); code != expected)
        reader.fail(field, std::to_string(code) + " instead of " + std::to_string(expected));
}

template <class T>
void grow(AlignedVector<T>& values, std::size_t size) {
    if (values.size() < size) values.resize(size);
}

}  // namespace

SvrExperts::Modality SvrExperts::read_modality(TextReader& reader, int support) {
    read_code(reader, modality_code, "modality type");
    Modality modality;
    modality.feature = SvrFeature(reader.read_count("modality kind", 0, 1));
    modality.confidence = reader.read_double("confidence");
    modality.scaling = reader.read_double("scaling");
    modality.bias = reader.read_double("bias");
    const Matrix<double> matrix = reader.read_real_matrix("weights");
    if (matrix.rows != support || matrix.cols != support)
        reader.fail("weights", std::to_string(matrix.rows) + " x " + std::to_string(matrix.cols) +
                                   ", the support is " + std::to_string(support) + " x " +
                                   std::to_string(support));
    modality.weights.resize(matrix.size());
    for (int row = 0; row < support; ++row)
        for (int column = 0; column < support; ++column) {
            const float weight = float(matrix(column, row));  // the file holds the transpose
            if (!std::isfinite(weight)) reader.fail("weights", "a number too large for single precision");
            modality.weights[std::size_t(row * support + column)] = weight;
        }
    const double count = double(matrix.size());
    double sum = 0.0, squares = 0.0;
    for (const float weight : modality.weights) sum += double(weight);
    modality.mean = sum / count;
    for (const float weight : modality.weights)
        squares += (double(weight) - modality.mean) * (double(weight) - modality.mean);
    const double variance = squares / count;
    modality.flat = variance < std::numeric_limits<double>::epsilon();
    modality.deviation_root = std::sqrt(variance) * std::sqrt(count);
    return modality;
}

SvrExperts::Expert SvrExperts::read_expert(TextReader& reader) {
    read_code(reader, expert_code, "expert type");
    Expert expert;
    expert.support = read_support(reader, 3, 31);
    const int modality_count = reader.read_count("number of modalities", 1, 8);
    for (int i = 0; i < modality_count; ++i)
        expert.modalities.push_back(read_modality(reader, expert.support));
    return expert;
}

void SvrExperts::read_scale(const std::filesystem::path& path) {
    TextReader reader(path);
    Scale scale = read_scale_header(reader, landmark_count_);
    std::vector<Expert> experts;
    for (View& view : scale.views)
        for (float& confidence : view.confidence) {
            experts.push_back(read_expert(reader));
            scale.support = std::max(scale.support, experts.back().support);
            double sum = 0.0;
            for (const Modality& modality : experts.back().modalities) sum += modality.confidence;
            confidence = float(sum);
        }
    reader.expect_end();
    scales_.push_back(std::move(scale));
    experts_.push_back(std::move(experts));
    check_view_count(reader, scales_);
}

std::unique_ptr<SvrExperts> SvrExperts::load(const std::vector<std::filesystem::path>& files_in_scale_order,
                                             int landmark_count) {
    auto experts = std::make_unique<SvrExperts>();
    experts->landmark_count_ = landmark_count;
    for (const auto& path : files_in_scale_order) experts->read_scale(path);
    return experts;
}

void SvrExperts::respond_at(const Expert& expert, const ResponseQuery& query, float x, float y, float* map,
                            int map_stride, PatchScratch& scratch) {
    const int size = query.window + expert.support - 1;
    const int stride = padded(size);
    grow(scratch.areas, std::size_t(size) * std::size_t(stride));
    grow(scratch.sums, svr_scratch_size(size));
    sample_area(query.grey, area_map(query.a, query.b, x, y, size), size, scratch.areas.data(), stride);
    std::fill(map, map + query.window * map_stride, 1.0f);
    for (const Modality& modality : expert.modalities) {
        svr_features_of_area(scratch.areas.data(), stride, size, modality.feature, scratch.sums.data());
        const SvrTemplate correlated{
            modality.weights.data(), modality.mean, modality.deviation_root, modality.scaling, modality.bias,
            expert.support,          modality.flat};
        svr_multiply_response(scratch.sums.data(), size, query.window, correlated, map, map_stride);
    }
    for (int row = 0; row < query.window; ++row)
        std::fill(map + row * map_stride + query.window, map + (row + 1) * map_stride, 0.0f);
}

void SvrExperts::respond(const ResponseQuery& query, ResponseMaps& maps, PatchScratch& scratch) const {
    check_query(query, *this);
    maps.reshape(landmark_count_, query.window);
    const std::vector<std::uint8_t>& visible =
        scales_[std::size_t(query.scale)].views[std::size_t(query.view)].visible;
    const Expert* experts =
        experts_[std::size_t(query.scale)].data() + std::size_t(query.view) * std::size_t(landmark_count_);
    for (int i = 0; i < landmark_count_; ++i)
        if (visible[std::size_t(i)])
            respond_at(experts[i], query, query.landmarks[i], query.landmarks[i + landmark_count_],
                       maps.map(i), maps.stride, scratch);
}

}  // namespace openface
