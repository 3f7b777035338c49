#include "openface/nn/interleaved_network.h"

#include <algorithm>
#include <numeric>
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

DotLayer pack_convolution(const Layer& layer, const std::vector<int>& order) {
    const int taps = layer.kernel_height * layer.kernel_width;
    const auto weight = [&](int depth, int output) {
        const int map = order[std::size_t(depth % layer.inputs)];
        const std::size_t kernel = std::size_t(map) * std::size_t(layer.outputs) + std::size_t(output);
        return layer.weights[kernel * std::size_t(taps) + std::size_t(depth / layer.inputs)];
    };
    return pack_dot_layer(layer.outputs, layer.kernel_height, layer.kernel_width * layer.inputs,
                          layer.bias.data(), weight);
}

// The file flattens map by map and each map column by column; ours lies row by row with the channels
// innermost.
DotLayer pack_flattening(const Layer& layer, const InterleavedMap& map) {
    const auto weight = [&](int depth, int output) {
        const int channel = depth % map.channels;
        const int x = depth / map.channels % map.width;
        const int y = depth / map.channels / map.width;
        const int row = (channel * map.width + x) * map.height + y;
        return layer.weights[std::size_t(row) * std::size_t(layer.outputs) + std::size_t(output)];
    };
    return pack_dot_layer(layer.outputs, 1, layer.inputs, layer.bias.data(), weight);
}

}  // namespace

// Follows the shape of the maps through the layers, refuses what doesn't fit and packs what does.
class InterleavedBuilder {
  public:
    InterleavedBuilder(InterleavedNetwork& network, std::vector<int> order, int side, bool any_size,
                       const BinaryReader& reader)
        : network_(network),
          order_(std::move(order)),
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
        step.kernel_width = layer.kernel_width;
        step.kernel_height = layer.kernel_height;
        if (!network_.map_steps_.empty()) {
            order_.resize(std::size_t(layer.inputs));
            std::iota(order_.begin(), order_.end(), 0);
        }
        step.dot = pack_convolution(layer, order_);
        map_ = step.shape_after(map_);
        push(std::move(step), false, true);
    }

    void add_pooling(const Layer& layer) {
        check_window(layer);
        check(!network_.map_steps_.empty(), "pooling before the first convolution");
        Step step;
        step.pooling = true;
        step.kernel_width = layer.kernel_width;
        step.kernel_height = layer.kernel_height;
        step.stride_x = layer.stride_x;
        step.stride_y = layer.stride_y;
        map_ = step.shape_after(map_);
        push(std::move(step), false, false);
    }

    void add_fully_connected(const Layer& layer) {
        check(!network_.map_steps_.empty(), "a fully connected layer before the first convolution");
        if (!flat_ && layer.inputs == map_.channels && map_.channels > 1) return add_convolution(layer);
        check(!any_size_, "a fully connected layer that flattens maps of varying size");
        const std::size_t inputs = size_of(map_);
        check(std::size_t(layer.inputs) == inputs, "a fully connected layer of " +
                                                       std::to_string(layer.inputs) + " inputs where " +
                                                       std::to_string(inputs) + " come in");
        if (!flat_) network_.vector_inputs_ = layer.inputs;
        flat_ = true;
        Step step;
        step.dot = pack_flattening(layer, map_);
        map_ = {nullptr, 1, 1, layer.outputs};
        push(std::move(step), true, true);
    }

    void add_activation(const Layer& layer) {
        check(activated_ != nullptr,
              "an activation that follows neither convolution nor fully connected layer");
        AlignedVector<float>& slopes = activated_->dot.slopes;
        if (layer.kind == Layer::Kind::prelu) {
            check(layer.outputs == map_.channels, std::to_string(layer.outputs) + " PReLU slopes where " +
                                                      std::to_string(map_.channels) +
                                                      " maps or units come in");
            std::copy(layer.weights.begin(), layer.weights.end(), slopes.begin());
        } else if (layer.kind == Layer::Kind::relu) {
            std::fill(slopes.begin(), slopes.end(), 0.0f);
        } else {
            activated_->logistic = true;
        }
        activated_ = nullptr;
    }

    InterleavedNetwork& network_;
    std::vector<int> order_;
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
    if (pooling)
        return {nullptr, pooled_size(map.height, kernel_height, stride_y),
                pooled_size(map.width, kernel_width, stride_x), map.channels};
    return {nullptr, map.height - kernel_height + 1, map.width - kernel_width + 1, dot.outputs};
}

void InterleavedNetwork::Step::run(const InterleavedMap& in, const InterleavedMap& out, float* target) const {
    const std::ptrdiff_t in_row = std::ptrdiff_t(in.width) * in.channels;
    const std::ptrdiff_t out_row = std::ptrdiff_t(out.width) * out.channels;
    for (int y = 0; y < out.height; ++y) {
        const float* first = in.data + y * stride_y * in_row;
        float* row = target + y * out_row;
        if (pooling)
            pool_row_interleaved(first, in.width, in.channels,
                                 std::min(kernel_height, in.height - y * stride_y), kernel_width, stride_x,
                                 row, out.width);
        else
            dot_positions(dot.view(), first, in.channels, in_row, out.width, row, out.channels);
    }
    if (logistic) apply_logistic(target, size_of(out));
}

InterleavedMap InterleavedNetwork::run_maps(InterleavedMap input, NetworkScratch& scratch) const {
    int turn = 0;
    for (const Step& step : map_steps_) {
        InterleavedMap next = step.shape_after(input);
        float* target = room_for(scratch.buffers[turn], size_of(next));
        step.run(input, next, target);
        next.data = target;
        input = next;
        turn = 1 - turn;
    }
    return input;
}

void InterleavedNetwork::run_maps(InterleavedMap input, NetworkScratch& scratch, float* out) const {
    int turn = 0;
    for (const Step& step : map_steps_) {
        InterleavedMap next = step.shape_after(input);
        const bool last = &step == &map_steps_.back();
        float* target = last ? out : room_for(scratch.buffers[turn], size_of(next));
        step.run(input, next, target);
        next.data = target;
        input = next;
        turn = 1 - turn;
    }
}

const float* InterleavedNetwork::run_vectors(const float* vectors, int count, NetworkScratch& scratch) const {
    int turn = 0;
    int inputs = vector_inputs_;
    for (const Step& step : vector_steps_) {
        const std::size_t floats = std::size_t(count) * std::size_t(step.dot.outputs);
        float* target = room_for(scratch.buffers[turn], floats);
        dot_positions(step.dot.view(), vectors, inputs, 0, count, target, step.dot.outputs);
        if (step.logistic) apply_logistic(target, floats);
        vectors = target;
        inputs = step.dot.outputs;
        turn = 1 - turn;
    }
    return vectors;
}

}  // namespace openface
