#include "openface/nn/interleaved_network.h"

#include <algorithm>
#include <string>

#include "openface/nn/logistic.h"

namespace openface {

namespace {

std::size_t size_of(const InterleavedMap& map) {
    return std::size_t(map.height) * std::size_t(map.width) * std::size_t(map.channels);
}

float* room_for(AlignedVector<float>& buffer, std::size_t floats) {
    if (buffer.size() < floats + dot_slack) buffer.resize(floats + dot_slack);
    return buffer.data();
}

// The reference sums fully connected layers of fewer outputs in double.
constexpr int fewest_outputs_in_float = 100;

// A window's terms: the file's maps, each column by column.
ConvolutionLayer pack_convolution(const Layer& layer) {
    const int taps = layer.kernel_height * layer.kernel_width;
    const auto weight = [&](int term, int output) {
        const int map = term / taps;
        const int x = term % taps / layer.kernel_height;
        const int y = term % layer.kernel_height;
        const std::size_t kernel = std::size_t(map) * std::size_t(layer.outputs) + std::size_t(output);
        return layer.weights[kernel * std::size_t(taps) + std::size_t(y * layer.kernel_width + x)];
    };
    return pack_convolution_layer(layer.outputs, layer.inputs * taps, layer.bias.data(), weight);
}

DotLayer pack_fully_connected(const Layer& layer) {
    const auto weight = [&](int term, int output) {
        return layer.weights[std::size_t(term) * std::size_t(layer.outputs) + std::size_t(output)];
    };
    return pack_dot_layer(layer.outputs, layer.inputs, layer.bias.data(), weight);
}

// Map by map, each map column by column.
void flatten(const InterleavedMap& map, float* out) {
    for (int channel = 0; channel < map.channels; ++channel)
        for (int x = 0; x < map.width; ++x) {
            const float* column = map.data + std::ptrdiff_t(x) * map.channels + channel;
            for (int y = 0; y < map.height; ++y, column += std::ptrdiff_t(map.width) * map.channels)
                *out++ = *column;
        }
}

}  // namespace

// Follows the shape of the maps through the layers, refuses what doesn't fit and packs what does.
class InterleavedBuilder {
  public:
    InterleavedBuilder(InterleavedNetwork& network, const std::vector<int>& order, int side, bool any_size,
                       const BinaryReader& reader)
        : network_(network),
          order_(order),
          any_size_(any_size),
          reader_(reader),
          map_{nullptr, side, side, int(order_.size())} {}

    void add(const Layer& layer) {
        switch (layer.kind) {
            case Layer::Kind::convolution:
                return add_convolution(layer);
            case Layer::Kind::max_pooling:
                return add_pooling(layer);
            case Layer::Kind::fully_connected:
                return add_fully_connected(layer);
            default:
                return add_activation(layer);
        }
    }

    void finish() {
        check(flat_ || (map_.height == 1 && map_.width == 1), "the smallest input doesn't end in one output");
        if (!flat_) network_.vector_inputs_ = map_.channels;
        network_.outputs_ = map_.channels;
    }

  private:
    using Step = InterleavedNetwork::Step;

    void check(bool good, const std::string& cause) const {
        if (!good) reader_.fail("network", cause);
    }

    void check_window(const Layer& layer) const {
        check(!flat_, "convolution or pooling after the maps have been flattened");
        check(layer.kernel_height <= map_.height && layer.kernel_width <= map_.width,
              "a window larger than its map");
    }

    void push(Step step, bool to_vectors, bool can_be_activated) {
        std::vector<Step>& steps = to_vectors ? network_.vector_steps_ : network_.map_steps_;
        steps.push_back(std::move(step));
        activated_ = can_be_activated ? &steps.back() : nullptr;
    }

    void add_convolution(const Layer& layer) {
        check_window(layer);
        check(layer.inputs == map_.channels, "a convolution of " + std::to_string(layer.inputs) +
                                                 " maps where " + std::to_string(map_.channels) + " come in");
        Step step;
        step.kind = Step::Kind::convolution;
        step.kernel_width = layer.kernel_width;
        step.kernel_height = layer.kernel_height;
        step.channel_of_map.resize(std::size_t(layer.inputs));
        for (int channel = 0; channel < layer.inputs; ++channel) {
            const int map = network_.map_steps_.empty() ? order_[std::size_t(channel)] : channel;
            step.channel_of_map[std::size_t(map)] = channel;
        }
        step.convolution = pack_convolution(layer);
        map_ = step.shape_after(map_);
        push(std::move(step), false, true);
    }

    void add_pooling(const Layer& layer) {
        check_window(layer);
        check(!network_.map_steps_.empty(), "pooling before the first convolution");
        Step step;
        step.kernel_width = layer.kernel_width;
        step.kernel_height = layer.kernel_height;
        step.stride_x = layer.stride_x;
        step.stride_y = layer.stride_y;
        map_ = step.shape_after(map_);
        push(std::move(step), false, false);
    }

    void add_fully_connected(const Layer& layer) {
        check(!network_.map_steps_.empty(), "a fully connected layer before the first convolution");
        Step step;
        step.kind = Step::Kind::fully_connected;
        if (!flat_ && layer.inputs == map_.channels && map_.channels > 1) {
            step.dot = pack_fully_connected(layer);
            map_ = step.shape_after(map_);
            return push(std::move(step), false, true);
        }
        check(!any_size_, "a fully connected layer that flattens maps of varying size");
        const std::size_t inputs = size_of(map_);
        check(std::size_t(layer.inputs) == inputs, "a fully connected layer of " +
                                                       std::to_string(layer.inputs) + " inputs where " +
                                                       std::to_string(inputs) + " come in");
        if (!flat_) network_.vector_inputs_ = layer.inputs;
        flat_ = true;
        step.dot = pack_fully_connected(layer);
        map_ = {nullptr, 1, 1, layer.outputs};
        push(std::move(step), true, true);
    }

    void add_activation(const Layer& layer) {
        check(activated_ != nullptr,
              "an activation that follows neither convolution nor fully connected layer");
        if (layer.kind == Layer::Kind::prelu)
            check(layer.outputs == map_.channels, std::to_string(layer.outputs) + " PReLU slopes where " +
                                                      std::to_string(map_.channels) +
                                                      " maps or units come in");
        if (layer.kind == Layer::Kind::logistic)
            activated_->logistic = true;
        else
            for (int output = 0; output < map_.channels; ++output)
                slope_of(*activated_, output) =
                    layer.kind == Layer::Kind::prelu ? layer.weights[std::size_t(output)] : 0.0f;
        activated_ = nullptr;
    }

    static float& slope_of(Step& step, int output) {
        return step.kind == Step::Kind::convolution
                   ? step.convolution.slopes[std::size_t(step.convolution.lane_of(output))]
                   : step.dot.slopes[std::size_t(output)];
    }

    InterleavedNetwork& network_;
    const std::vector<int>& order_;
    bool any_size_;
    const BinaryReader& reader_;
    InterleavedMap map_;
    bool flat_ = false;
    Step* activated_ = nullptr;  // the step that an activation may join
};

InterleavedNetwork::InterleavedNetwork(const std::vector<Layer>& layers, const std::vector<int>& order,
                                       int side, bool any_size, const BinaryReader& reader) {
    InterleavedBuilder builder(*this, order, side, any_size, reader);
    for (const Layer& layer : layers) builder.add(layer);
    builder.finish();
}

InterleavedMap InterleavedNetwork::Step::shape_after(const InterleavedMap& map) const {
    switch (kind) {
        case Kind::convolution:
            return {nullptr, map.height - kernel_height + 1, map.width - kernel_width + 1,
                    convolution.outputs};
        case Kind::pooling:
            return {nullptr, pooled_size(map.height, kernel_height, stride_y),
                    pooled_size(map.width, kernel_width, stride_x), map.channels};
        default:
            return {nullptr, map.height, map.width, dot.outputs};
    }
}

void InterleavedNetwork::Step::run(const InterleavedMap& in, const InterleavedMap& out,
                                   NetworkScratch& scratch, float* target) const {
    const std::ptrdiff_t in_row = std::ptrdiff_t(in.width) * in.channels;
    const std::ptrdiff_t out_row = std::ptrdiff_t(out.width) * out.channels;
    switch (kind) {
        case Kind::convolution:
            scratch.term_offsets.clear();
            for (const int channel : channel_of_map)
                for (int x = 0; x < kernel_width; ++x)
                    for (int y = 0; y < kernel_height; ++y)
                        scratch.term_offsets.push_back(y * in_row + x * in.channels + channel);
            convolve_interleaved(convolution.view(),
                                 ConvolutionInput{in.data, scratch.term_offsets.data(), in_row, in.channels},
                                 out.height, out.width, target);
            break;
        case Kind::pooling:
            for (int y = 0; y < out.height; ++y)
                pool_row_interleaved(in.data + y * stride_y * in_row, in.width, in.channels,
                                     std::min(kernel_height, in.height - y * stride_y), kernel_width,
                                     stride_x, target + y * out_row, out.width);
            break;
        case Kind::fully_connected:
            dot_vectors_in_double(dot.view(), BiasRounding::apart, in.data, in.height * in.width, target);
            break;
    }
    if (logistic) apply_logistic(target, size_of(out));
}

void InterleavedNetwork::Step::run_vectors(const float* vectors, int count, float* target) const {
    if (dot.outputs < fewest_outputs_in_float)
        dot_vectors_in_double(dot.view(), BiasRounding::together, vectors, count, target);
    else
        dot_vectors(dot.view(), vectors, count, target);
    if (logistic) apply_logistic(target, std::size_t(count) * std::size_t(dot.outputs));
}

InterleavedMap InterleavedNetwork::run_maps(InterleavedMap input, NetworkScratch& scratch) const {
    int turn = 0;
    for (const Step& step : map_steps_) {
        InterleavedMap next = step.shape_after(input);
        float* target = room_for(scratch.buffers[turn], size_of(next));
        step.run(input, next, scratch, target);
        next.data = target;
        input = next;
        turn = 1 - turn;
    }
    return input;
}

void InterleavedNetwork::run_maps(InterleavedMap input, NetworkScratch& scratch, float* out) const {
    flatten(run_maps(input, scratch), out);
}

const float* InterleavedNetwork::run_vectors(const float* vectors, int count, NetworkScratch& scratch) const {
    int turn = 0;
    for (const Step& step : vector_steps_) {
        float* target = room_for(scratch.buffers[turn], std::size_t(count) * std::size_t(step.dot.outputs));
        step.run_vectors(vectors, count, target);
        vectors = target;
        turn = 1 - turn;
    }
    return vectors;
}

}  // namespace openface
