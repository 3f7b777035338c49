#include "openface/patch_experts/dense_networks.h"

#include <algorithm>

namespace openface {

namespace {
constexpr std::size_t slack = dense_panel;  // readable floats behind the last weight

// Panels begin on a boundary of 64 bytes.
constexpr std::size_t aligned(std::size_t count) {
    return (count + dense_panel - 1) / dense_panel * dense_panel;
}
}  // namespace

void DenseNetworks::reserve(std::size_t count) {
    values_.reserve(count + count / 16 + slack);
}

int DenseNetworks::add_network() {
    networks_.push_back({int(layers_.size()), 0});
    return network_count() - 1;
}

void DenseNetworks::add_layer(int inputs, int outputs, Activation activation, const float* bias,
                              const float* weights) {
    const std::size_t lanes = std::size_t(dense_lanes(outputs).count);
    const std::size_t position = values_.empty() ? 0 : values_.size() - slack;
    const std::size_t weight_count = aligned(lanes * std::size_t(inputs));
    values_.resize(position + weight_count + aligned(lanes) + slack);
    pack_dense_weights(weights, outputs, inputs, values_.data() + position);
    pack_dense_bias(bias, outputs, values_.data() + position + weight_count);
    layers_.push_back({position + weight_count, position, inputs, outputs, activation});
    ++networks_.back().layer_count;
    widest_ = std::max(widest_, dense_stride(outputs));
}

std::size_t DenseNetworks::scratch_size(int count) const {
    return 2 * std::size_t(count) * std::size_t(widest_);
}

const float* DenseNetworks::evaluate(int network, const float* in, std::ptrdiff_t in_stride, int count,
                                     float* scratch) const {
    float* const out = scratch;
    float* const lanes = scratch + scratch_size(count) / 2;
    const Network& chosen = networks_[std::size_t(network)];
    for (int i = 0; i < chosen.layer_count; ++i) {
        const Layer& layer = layers_[std::size_t(chosen.first_layer + i)];
        const DenseLayer dense{values_.data() + layer.weights, values_.data() + layer.bias, layer.inputs,
                               dense_lanes(layer.outputs), layer.activation};
        const std::ptrdiff_t out_stride = dense_stride(layer.outputs);
        evaluate_dense_layer(dense, in, in_stride, count, lanes, out, out_stride);
        in = out;
        in_stride = out_stride;
    }
    return in;
}

}  // namespace openface
