#include "openface/patch_experts/cen_experts.h"

#include <algorithm>

#include "openface/core/error.h"
#include "openface/image/area_warp.h"
#include "openface/io/binary_reader.h"
#include "openface/io/file_bytes.h"
#include "openface/patch_experts/cen_response.h"
#include "openface/patch_experts/scale_header.h"

namespace openface {

namespace {

constexpr int expert_code = 6;
constexpr int smallest_record = 24;  // bytes of an expert without layers

// A permutation that undoes itself.
std::vector<int> read_mirror(BinaryReader& reader, int count, const char* field) {
    const Matrix<std::int32_t> table = reader.read_int_matrix(field);
    if (table.size() != std::size_t(count))
        reader.fail(field, std::to_string(table.size()) + " entries, " + std::to_string(count) + " expected");
    std::vector<int> mirror(table.data.begin(), table.data.end());
    for (int i = 0; i < count; ++i) {
        const int partner = mirror[std::size_t(i)];
        if (partner < 0 || partner >= count || mirror[std::size_t(partner)] != i)
            reader.fail(field, "entry " + std::to_string(i) + " (" + std::to_string(partner) +
                                   ") is out of range or not mirrored back");
    }
    return mirror;
}

// The weights and biases of the layer that is being read.
struct LayerValues {
    std::vector<float> bias;
    std::vector<float> weights;
};

void read_values(BinaryReader& reader, const BinaryReader::MatrixHeader& header, const char* field,
                 std::vector<float>& values) {
    values.resize(header.size());
    reader.read_elements(header, values.data(), field);
}

void read_layer(BinaryReader& reader, int& width, bool last, LayerValues& values, DenseNetworks& networks) {
    const Activation activation = Activation(reader.read_count("activation", 0, 2));
    const BinaryReader::MatrixHeader bias_header = reader.read_real_matrix_header("bias");
    const std::size_t outputs = bias_header.size();
    if ((bias_header.rows != 1 && bias_header.cols != 1) || outputs < 1 || outputs > 4096)
        reader.fail("bias", "a vector of 1 to 4096 values expected");
    if (last && outputs != 1)
        reader.fail("bias", "the last layer has " + std::to_string(outputs) + " outputs, not 1");
    read_values(reader, bias_header, "bias", values.bias);
    const BinaryReader::MatrixHeader header = reader.read_real_matrix_header("weights");
    if (std::size_t(header.rows) != outputs || header.cols != width)
        reader.fail("weights", std::to_string(header.rows) + " x " + std::to_string(header.cols) +
                                   ", expected " + std::to_string(outputs) + " x " + std::to_string(width));
    read_values(reader, header, "weights", values.weights);
    networks.add_layer(width, int(outputs), activation, values.bias.data(), values.weights.data());
    width = int(outputs);
}

float read_expert(BinaryReader& reader, LayerValues& values, DenseNetworks& networks) {
    if (const int code = reader.read_int("expert type"); code != expert_code)
        reader.fail("expert type", std::to_string(code) + " is not the code of a CEN expert (6)");
    read_support(reader, cen_support, cen_support);
    const int layer_count = reader.read_count("number of layers", 0, 16);
    networks.add_network();
    int width = cen_inputs;
    for (int i = 0; i < layer_count; ++i) read_layer(reader, width, i == layer_count - 1, values, networks);
    return float(reader.read_double("confidence"));
}

}  // namespace

CenExperts::Mirror CenExperts::load_scale(const std::filesystem::path& path, int landmark_count,
                                          CenExperts& experts) {
    BinaryReader reader(path);
    Scale scale = read_scale_header(reader, landmark_count);
    scale.support = cen_support;
    for (const double angle : scale.views.front().centre)
        if (angle != 0.0) reader.fail("view centre", "the first view is not the frontal one");
    Mirror mirror;
    mirror.landmarks = read_mirror(reader, landmark_count, "landmark mirror table");
    mirror.views = read_mirror(reader, int(scale.views.size()), "view mirror table");
    if (reader.remaining() / smallest_record < scale.views.size() * std::size_t(landmark_count))
        reader.fail("experts", "the file is too short for one record per view and landmark");
    Bank bank;
    bank.networks.reserve(reader.remaining() / sizeof(float));
    LayerValues values;
    for (View& view : scale.views)
        for (float& confidence : view.confidence) confidence = read_expert(reader, values, bank.networks);
    reader.expect_end();
    experts.scales_.push_back(std::move(scale));
    experts.banks_.push_back(std::move(bank));
    check_view_count(reader, experts.scales_);
    return mirror;
}

std::vector<CenExperts::Job> CenExperts::plan_view(const Scale& scale, const DenseNetworks& networks,
                                                   const Mirror& mirror, int view,
                                                   const std::filesystem::path& path) {
    const std::vector<std::uint8_t>& visible = scale.views[std::size_t(view)].visible;
    const int landmark_count = int(visible.size());
    std::vector<Job> jobs;
    for (int i = 0; i < landmark_count; ++i)
        if (visible[std::size_t(i)] && !networks.empty(view * landmark_count + i))
            jobs.push_back({view * landmark_count + i, i, -1});
    for (int i = 0; i < landmark_count; ++i) {
        if (!visible[std::size_t(i)] || !networks.empty(view * landmark_count + i)) continue;
        const int partner = mirror.landmarks[std::size_t(i)];
        const int network = mirror.views[std::size_t(view)] * landmark_count + partner;
        if (networks.empty(network))
            throw_model_error(path, "view " + std::to_string(view) + ", landmark " + std::to_string(i),
                              "is visible, but neither it nor its mirror image has an expert");
        const auto same =
            std::find_if(jobs.begin(), jobs.end(), [&](const Job& job) { return job.network == network; });
        if (same != jobs.end())
            same->mirrored = i;
        else
            jobs.push_back({network, -1, i});
    }
    return jobs;
}

std::unique_ptr<CenExperts> CenExperts::load(const std::vector<std::filesystem::path>& files_in_scale_order,
                                             int landmark_count) {
    auto experts = std::make_unique<CenExperts>();
    experts->landmark_count_ = landmark_count;
    Mirror mirror;  // of the file read last, as in the reference
    for (const auto& path : files_in_scale_order) mirror = load_scale(path, landmark_count, *experts);
    for (std::size_t s = 0; s < experts->banks_.size(); ++s)
        for (int view = 0; view < int(experts->scales_[s].views.size()); ++view)
            experts->banks_[s].jobs.push_back(plan_view(experts->scales_[s], experts->banks_[s].networks,
                                                        mirror, view, files_in_scale_order[s]));
    return experts;
}

namespace {

void grow(AlignedVector<float>& values, std::size_t size) {
    if (values.size() < size) values.resize(size);
}

// The parts of the scratch memory.
struct Workspace {
    float* area;
    float* transposed;
    float* means;
    float* reciprocal_norms;
    float* inputs;
    float* layers;
};

Workspace workspace(PatchScratch& scratch, const DenseNetworks& networks, int size, int stride, int window,
                    int position_count) {
    const std::size_t area = std::size_t(size) * std::size_t(stride) + std::size_t(patch_slack(stride));
    const std::size_t line = std::size_t(patch_line_stride(window)) * std::size_t(window);
    grow(scratch.areas, 2 * area);
    grow(scratch.maps, 2 * line);
    grow(scratch.patches, 2 * std::size_t(position_count) * cen_input_stride);
    grow(scratch.layers, networks.scratch_size(2 * position_count));
    return {scratch.areas.data(),       scratch.areas.data() + area, scratch.maps.data(),
            scratch.maps.data() + line, scratch.patches.data(),      scratch.layers.data()};
}

}  // namespace

void CenExperts::respond(const ResponseQuery& query, Positions positions, ResponseMaps& maps,
                         PatchScratch& scratch) const {
    check_query(query, *this);
    maps.reshape(landmark_count_, query.window);
    const Bank& bank = banks_[std::size_t(query.scale)];
    const int window = query.window;
    const int step = positions == Positions::all ? 1 : 2;
    const int count = cen_position_count(window, step);
    const int size = window + cen_support - 1;
    const int stride = padded(size);
    const PatchLayout layout{1, stride, stride, cen_support, window};
    const Workspace work = workspace(scratch, bank.networks, size, stride, window, count);

    const auto add_inputs = [&](int landmark, bool mirrored, float* inputs) {
        const AreaMap map = area_map(query.a, query.b, query.landmarks[landmark],
                                     query.landmarks[landmark + landmark_count_], size);
        sample_area(query.grey, map, size, work.area, stride);
        transpose_area(work.area, size, stride, mirrored, work.transposed);
        patch_statistics(work.transposed, layout, work.means, work.reciprocal_norms);
        cen_inputs_of_area(work.transposed, stride, window, step, work.means, work.reciprocal_norms, inputs);
        return inputs + std::ptrdiff_t(count) * cen_input_stride;
    };
    for (const Job& job : bank.jobs[std::size_t(query.view)]) {
        float* end = work.inputs;
        if (job.plain >= 0) end = add_inputs(job.plain, false, end);
        if (job.mirrored >= 0) end = add_inputs(job.mirrored, true, end);
        const int inputs = int((end - work.inputs) / cen_input_stride);
        const float* outputs =
            bank.networks.evaluate(job.network, work.inputs, cen_input_stride, inputs, work.layers);
        const std::ptrdiff_t out_stride = dense_stride(1);
        if (job.plain >= 0) {
            cen_map_of_outputs(outputs, out_stride, window, step, false, maps.map(job.plain), maps.stride);
            outputs += count * out_stride;
        }
        if (job.mirrored >= 0)
            cen_map_of_outputs(outputs, out_stride, window, step, true, maps.map(job.mirrored), maps.stride);
    }
}

void transpose_area(const float* area, int size, int stride, bool mirrored, float* transposed) {
    for (int x = 0; x < size; ++x) {
        const float* column = area + (mirrored ? size - 1 - x : x);
        for (int y = 0; y < size; ++y) transposed[x * stride + y] = column[y * stride];
    }
}

}  // namespace openface
