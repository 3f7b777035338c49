#include "openface/face_detector/mtcnn.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "openface/core/error.h"
#include "openface/core/math.h"
#include "openface/face_detector/face_probability.h"
#include "openface/io/file_bytes.h"
#include "openface/io/text_reader.h"

namespace openface {

namespace {

constexpr int minimum_face = 60;
constexpr int proposal_side = 12;
constexpr int refinement_side = 24;
constexpr int output_side = 48;
constexpr double pyramid_factor = 0.709;
constexpr float proposal_threshold = 0.6f;
constexpr float refinement_threshold = 0.7f;
constexpr float output_threshold = 0.7f;
constexpr float pixel_offset = 127.5f;
constexpr float pixel_scale = 0.0078125f;

InterleavedNetwork load_network(const std::filesystem::path& path, int side, int most_outputs) {
    BinaryReader reader(path);
    const std::vector<Layer> layers = read_layers(reader, NetworkFormat::mtcnn);
    // The files' maps are R, G, B, our pixels B, G, R.
    InterleavedNetwork network(layers, {2, 1, 0}, side, side == proposal_side, reader);
    if (network.outputs() < 6 || network.outputs() > most_outputs)
        reader.fail("network", std::to_string(network.outputs()) + " outputs, " +
                                   (most_outputs == 6 ? "6" : "6 or more") + " expected");
    reader.expect_end();
    return network;
}

// Without the separating blanks that a listing may have around a name.
std::string trimmed(const std::string& text) {
    const std::size_t first = text.find_first_not_of(" \t");
    const std::size_t last = text.find_last_not_of(" \t");
    return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
}

// A three channel view of any image; copies only those that have one or four.
ViewU8 three_channels(const ViewU8& image, ImageU8& colour) {
    if (image.channels == 3) return image;
    if (image.channels != 1 && image.channels != 4)
        throw Error(Error::Code::input,
                    "an image must have 1, 3 or 4 channels, not " + std::to_string(image.channels));
    colour.resize(image.width, image.height, 3);
    const int green = image.channels == 1 ? 0 : 1;
    for (int y = 0; y < image.height; ++y) {
        const std::uint8_t* from = image.row(y);
        std::uint8_t* to = colour.row(y);
        for (int x = 0; x < image.width; ++x, from += image.channels, to += 3) {
            to[0] = from[0];
            to[1] = from[green];
            to[2] = from[2 * green];
        }
    }
    return colour.view();
}

// A square that the next network can look at: it has a size and its numbers are sane.
bool usable(const Box& square) {
    constexpr float limit = 1 << 20;
    return square.width >= 1.0f && square.width < limit && std::fabs(square.x) < limit &&
           std::fabs(square.y) < limit;
}

std::array<float, 4> offsets_of(const float* outputs) {
    return {outputs[2], outputs[3], outputs[4], outputs[5]};
}

// The box of the cell (x, y) of a level (section 2.4).
Box cell_box(int x, int y, float scale) {
    const auto corner = [scale](int cell, int end) { return std::trunc(float(2 * cell + end) / scale); };
    const float left = corner(x, 1);
    const float top = corner(y, 1);
    return {left, top, corner(x, proposal_side) - left, corner(y, proposal_side) - top};
}

// Column by column, the order that the suppression's rule for equal scores refers to.
void collect_proposals(const InterleavedMap& map, float scale, std::vector<Candidate>& proposals) {
    // p >= 0.6 means o1 - o0 >= ln 1.5 = 0.405...; the exponential is computed only for those that come near.
    constexpr float near_threshold = 0.4f;
    proposals.clear();
    for (int x = 0; x < map.width; ++x) {
        const float* outputs = map.data + std::ptrdiff_t(x) * map.channels;
        for (int y = 0; y < map.height; ++y, outputs += std::ptrdiff_t(map.width) * map.channels) {
            if (outputs[1] - outputs[0] < near_threshold) continue;
            const float probability = proposal_probability(outputs[0], outputs[1]);
            if (probability >= proposal_threshold)
                proposals.push_back({cell_box(x, y, scale), probability, offsets_of(outputs)});
        }
    }
}

// Keeps the candidates that suppression keeps, refined and squared (section 2.8, steps 1 and 2).
void refine_kept(MtcnnScratch& scratch, MtcnnTrace::Stage* trace) {
    scratch.candidates.clear();
    for (const int index : scratch.kept) {
        Candidate candidate = scratch.above[std::size_t(index)];
        const Box box = corrected(candidate, 0.0f);
        if (trace) trace->corrected_boxes.push_back(box);
        candidate.box = squared(box);
        if (usable(candidate.box)) scratch.candidates.push_back(candidate);
    }
    if (trace) {
        trace->above = scratch.above;
        trace->kept = scratch.kept;
    }
}

void keep_above(float threshold, MtcnnScratch& scratch) {
    scratch.above.clear();
    for (const Candidate& candidate : scratch.candidates)
        if (candidate.score >= threshold) scratch.above.push_back(candidate);
}

}  // namespace

std::shared_ptr<const MtcnnDetector> MtcnnDetector::load(const std::filesystem::path& listing) {
    const char* keywords[] = {"PNet", "RNet", "ONet"};
    std::filesystem::path paths[3];
    for (const ListingLine& line : read_listing(listing))
        for (int i = 0; i < 3; ++i)
            if (line.keyword == keywords[i]) {
                if (!paths[i].empty())
                    throw_model_error(listing, "line " + std::to_string(line.number),
                                      line.keyword + " is named twice");
                const std::string name = trimmed(line.rest);
                if (name.empty())
                    throw_model_error(listing, "line " + std::to_string(line.number),
                                      line.keyword + " names no file");
                paths[i] = listing.parent_path() / name;
                std::error_code ignored;
                if (!std::filesystem::is_regular_file(paths[i], ignored))
                    throw_model_error(listing, "line " + std::to_string(line.number),
                                      line.keyword + " names '" + name + "', which does not exist");
            }
    for (int i = 0; i < 3; ++i)
        if (paths[i].empty())
            throw_model_error(listing, "end of file", std::string(keywords[i]) + " is not named");

    const auto detector = std::make_shared<MtcnnDetector>();
    detector->proposal_ = load_network(paths[0], proposal_side, 6);
    detector->refinement_ = load_network(paths[1], refinement_side, 6);
    detector->output_ = load_network(paths[2], output_side, 4096);
    return detector;
}

std::vector<double> MtcnnDetector::pyramid_scales(int width, int height) {
    std::vector<double> scales;
    const int side = std::min(width, height);
    if (side < minimum_face) return scales;
    const double levels =
        std::floor(math::log(double(minimum_face) / side) / math::log(pyramid_factor)) + 1.0;
    double shrinkage = 1.0;
    for (int i = 0; i < int(levels); ++i, shrinkage *= pyramid_factor)
        scales.push_back(double(proposal_side) / minimum_face * shrinkage);
    return scales;
}

void MtcnnDetector::propose_level(const ViewU8& bgr, double scale, MtcnnScratch& scratch,
                                  MtcnnTrace* trace) const {
    const int width = int(std::ceil(bgr.width * scale));
    const int height = int(std::ceil(bgr.height * scale));
    const std::size_t floats = std::size_t(width) * std::size_t(height) * 3;
    if (scratch.input.size() < floats + dot_slack) scratch.input.resize(floats + dot_slack);
    resize_bilinear(bgr, {0, bgr.width}, {0, bgr.height}, width, height, pixel_offset, pixel_scale,
                    scratch.resize, scratch.input.data());
    const InterleavedMap map = proposal_.run_maps({scratch.input.data(), height, width, 3}, scratch.network);
    collect_proposals(map, float(scale), scratch.level);
    suppress(scratch.level, 0.5f, Overlap::of_union, scratch.suppression, scratch.kept);
    for (const int index : scratch.kept) scratch.above.push_back(scratch.level[std::size_t(index)]);
    if (trace)
        trace->levels.push_back({scale,
                                 map.height,
                                 map.width,
                                 {map.data, map.data + std::size_t(map.height) * std::size_t(map.width) * 6},
                                 scratch.level,
                                 scratch.kept});
}

void MtcnnDetector::propose(const ViewU8& bgr, MtcnnScratch& scratch, MtcnnTrace* trace) const {
    scratch.above.clear();
    for (const double scale : pyramid_scales(bgr.width, bgr.height))
        propose_level(bgr, scale, scratch, trace);
    suppress(scratch.above, 0.7f, Overlap::of_union, scratch.suppression, scratch.kept);
    refine_kept(scratch, trace ? &trace->proposals : nullptr);
}

// Gives every candidate the score and offsets that the network sees in its square.
void MtcnnDetector::classify(const InterleavedNetwork& network, int side, const ViewU8& bgr,
                             MtcnnScratch& scratch, MtcnnTrace::Stage* trace) const {
    const std::size_t count = scratch.candidates.size();
    const std::size_t inputs = std::size_t(network.vector_inputs());
    if (scratch.vectors.size() < count * inputs + dot_slack)
        scratch.vectors.resize(count * inputs + dot_slack);
    const std::size_t pixels = std::size_t(side) * std::size_t(side) * 3;
    if (scratch.input.size() < pixels + dot_slack) scratch.input.resize(pixels + dot_slack);
    for (std::size_t i = 0; i < count; ++i) {
        const Box& square = scratch.candidates[i].box;
        const int length = int(square.width) + 1;
        resize_bilinear(bgr, {int(square.x) - 1, length}, {int(square.y) - 1, length}, side, side,
                        pixel_offset, pixel_scale, scratch.resize, scratch.input.data());
        network.run_maps({scratch.input.data(), side, side, 3}, scratch.network,
                         scratch.vectors.data() + i * inputs);
    }
    const float* outputs = network.run_vectors(scratch.vectors.data(), int(count), scratch.network);
    for (std::size_t i = 0; i < count; ++i) {
        Candidate& candidate = scratch.candidates[i];
        if (trace) trace->squares.push_back(candidate.box);
        const float* row = outputs + i * std::size_t(network.outputs());
        candidate.score = face_probability(row[0], row[1]);
        candidate.offsets = offsets_of(row);
    }
    if (trace) trace->outputs.assign(outputs, outputs + count * std::size_t(network.outputs()));
}

std::vector<Detection> MtcnnDetector::detect(const ViewU8& image, MtcnnScratch& scratch,
                                             MtcnnTrace* trace) const {
    std::vector<Detection> detections;
    if (std::min(image.width, image.height) < minimum_face) return detections;
    const ViewU8 bgr = three_channels(image, scratch.colour);

    propose(bgr, scratch, trace);
    classify(refinement_, refinement_side, bgr, scratch, trace ? &trace->refinement : nullptr);
    keep_above(refinement_threshold, scratch);
    suppress(scratch.above, 0.7f, Overlap::of_union, scratch.suppression, scratch.kept);
    refine_kept(scratch, trace ? &trace->refinement : nullptr);

    classify(output_, output_side, bgr, scratch, trace ? &trace->output : nullptr);
    keep_above(output_threshold, scratch);
    for (Candidate& candidate : scratch.above) candidate.box = corrected(candidate, 1.0f);
    suppress(scratch.above, 0.7f, Overlap::of_smaller, scratch.suppression, scratch.kept);
    if (trace) {
        trace->output.above = scratch.above;
        trace->output.kept = scratch.kept;
    }
    for (const int index : scratch.kept) {
        const Candidate& candidate = scratch.above[std::size_t(index)];
        detections.push_back({to_landmark_extent(candidate.box), candidate.score});
    }
    return detections;
}

}  // namespace openface
