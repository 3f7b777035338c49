#include "openface/nn/planar_network.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "openface/nn/logistic.h"

namespace openface {

namespace {

// From [input][output][tap] to [input][tap][output].
AlignedVector<float> pack_convolution(const Layer& layer) {
    const std::size_t taps = std::size_t(layer.kernel_height) * std::size_t(layer.kernel_width);
    const std::size_t outputs = std::size_t(layer.outputs);
    AlignedVector<float> packed(layer.weights.size());
    for (std::size_t input = 0; input < std::size_t(layer.inputs); ++input)
        for (std::size_t output = 0; output < outputs; ++output)
            for (std::size_t tap = 0; tap < taps; ++tap)
                packed[(input * taps + tap) * outputs + output] =
                    layer.weights[(input * outputs + output) * taps + tap];
    return packed;
}

}  // namespace

// Follows the shape of the maps through the layers, refuses what doesn't fit and packs what does.
class PlanarBuilder {
  public:
    PlanarBuilder(PlanarNetwork& network, int height, int width, const BinaryReader& reader)
        : network_(network), reader_(reader), shape_{1, height, width} {}

    void add(const Layer& layer) {
        switch (layer.kind) {
            case Layer::Kind::convolution:
                return add_convolution(layer);
            case Layer::Kind::max_pooling:
                return add_pooling();
            case Layer::Kind::fully_connected:
                return add_fully_connected(layer);
            default:
                return add_activation(layer);
        }
    }

    void finish() {
        if (!flat_) flatten();
        network_.outputs_ = shape_.maps;
        check(shape_.maps >= 2, "the network has one output, at least two are needed");
    }

  private:
    using Step = PlanarNetwork::Step;
    using Shape = PlanarNetwork::Shape;

    void check(bool good, const std::string& cause) const {
        if (!good) reader_.fail("network", cause);
    }

    void push(Step step, Shape out) {
        step.in = shape_;
        step.out = out;
        shape_ = out;
        activated_ = step.kind == Step::Kind::convolution || step.kind == Step::Kind::fully_connected;
        network_.largest_ = std::max(network_.largest_, out.floats());
        check(out.floats() <= std::size_t(1) << 26, "maps too large");
        network_.steps_.push_back(std::move(step));
    }

    void add_convolution(const Layer& layer) {
        check(!flat_, "a convolution after the maps have been flattened");
        check(layer.inputs == shape_.maps, "a convolution of " + std::to_string(layer.inputs) +
                                               " maps where " + std::to_string(shape_.maps) + " come in");
        check(layer.kernel_height <= shape_.height && layer.kernel_width <= shape_.width,
              "a kernel larger than its map");
        Step step;
        step.kind = Step::Kind::convolution;
        step.kernel_height = layer.kernel_height;
        step.kernel_width = layer.kernel_width;
        step.weights = pack_convolution(layer);
        step.bias.assign(layer.bias.begin(), layer.bias.end());
        push(std::move(step),
             {layer.outputs, shape_.height - layer.kernel_height + 1, shape_.width - layer.kernel_width + 1});
    }

    void add_pooling() {
        check(!flat_, "pooling after the maps have been flattened");
        check(shape_.height >= 2 && shape_.width >= 2, "pooling of a map smaller than its window");
        push({}, {shape_.maps, pooled_size(shape_.height, 2, 2), pooled_size(shape_.width, 2, 2)});
    }

    void flatten() {
        const int count = shape_.maps * shape_.height * shape_.width;
        Step step;
        step.kind = Step::Kind::flattening;
        push(std::move(step), {count, 1, 1});
        flat_ = true;
    }

    void add_fully_connected(const Layer& layer) {
        if (!flat_ && layer.inputs == shape_.maps && shape_.maps > 1) return add_convolution(layer);
        const Shape maps = shape_;
        const std::size_t inputs =
            std::size_t(maps.maps) * std::size_t(maps.height) * std::size_t(maps.width);
        check(std::size_t(layer.inputs) == inputs, "a fully connected layer of " +
                                                       std::to_string(layer.inputs) + " inputs where " +
                                                       std::to_string(inputs) + " come in");
        if (!flat_) flatten();
        // The file flattens each map column by column, ours row by row.
        const auto weight = [&](int depth, int output) {
            const int x = depth % maps.width;
            const int y = depth / maps.width % maps.height;
            const int map = depth / maps.width / maps.height;
            const std::size_t row = std::size_t((map * maps.width + x) * maps.height + y);
            return layer.weights[row * std::size_t(layer.outputs) + std::size_t(output)];
        };
        Step step;
        step.kind = Step::Kind::fully_connected;
        step.dot = pack_dot_layer(layer.outputs, layer.inputs, layer.bias.data(), weight);
        push(std::move(step), {layer.outputs, 1, 1});
    }

    void add_activation(const Layer& layer) {
        check(activated_, "an activation that follows neither convolution nor fully connected layer");
        Step& step = network_.steps_.back();
        if (layer.kind == Layer::Kind::logistic)
            step.logistic = true;
        else if (step.kind == Step::Kind::convolution)
            step.relu = true;
        else
            std::fill(step.dot.slopes.begin(), step.dot.slopes.end(), 0.0f);
        activated_ = false;
    }

    PlanarNetwork& network_;
    const BinaryReader& reader_;
    Shape shape_;
    bool flat_ = false;
    bool activated_ = false;  // the last step may take an activation
};

PlanarNetwork::PlanarNetwork(const std::vector<Layer>& layers, int height, int width,
                             const BinaryReader& reader) {
    PlanarBuilder builder(*this, height, width, reader);
    for (const Layer& layer : layers) builder.add(layer);
    builder.finish();
}

void PlanarNetwork::Step::run(float* from, float* to) const {
    switch (kind) {
        case Kind::convolution: {
            const PlanarConvolution layer{weights.data(), bias.data(),  in.maps, out.maps,
                                          kernel_height,  kernel_width, relu};
            convolve_planar(layer, in.planes(from), out.planes(to), out.height);
            break;
        }
        case Kind::pooling:
            pool_planar(in.planes(from), out.planes(to), in.maps, in.height, in.width);
            break;
        case Kind::flattening:
            for (int row = 0; row < in.maps * in.height; ++row)
                std::memcpy(to + row * in.width, from + row * in.row_stride(),
                            std::size_t(in.width) * sizeof(float));
            break;
        case Kind::fully_connected:
            dot_vectors(dot.view(), from, 1, to);
            break;
    }
    if (logistic) apply_logistic(to, kind == Kind::fully_connected ? std::size_t(out.maps) : out.floats());
}

const float* PlanarNetwork::run(float* map, PlanarScratch& scratch) const {
    for (AlignedVector<float>& buffer : scratch.buffers)
        if (buffer.size() < largest_ + planar_slack) buffer.resize(largest_ + planar_slack);
    float* from = map;
    int turn = 0;
    for (const Step& step : steps_) {
        float* to = scratch.buffers[turn].data();
        step.run(from, to);
        from = to;
        turn = 1 - turn;
    }
    return from;
}

}  // namespace openface
