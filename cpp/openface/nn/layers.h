// The layers of the face detector's and the validator's small networks as their files hold them (models.md,
// sections 13.1 and 14), checked but not yet packed for computing.
#pragma once

#include <vector>

#include "openface/core/aligned.h"
#include "openface/io/binary_reader.h"

namespace openface {

struct Layer {
    enum class Kind { convolution, max_pooling, fully_connected, prelu, relu, logistic };

    Kind kind = Kind::relu;
    // Convolution: input and output maps. Fully connected: rows and columns of the weights. PReLU: slopes.
    int inputs = 0;
    int outputs = 0;
    // Convolution and pooling.
    int kernel_width = 1;
    int kernel_height = 1;
    int stride_x = 1;
    int stride_y = 1;
    std::vector<float> bias;
    // Convolution: [input][output][kernel row][kernel column]. Fully connected: [input][output]. PReLU: the
    // slopes.
    std::vector<float> weights;
};

enum class NetworkFormat {
    mtcnn,      // pooling sizes stored, code 3 is PReLU with slopes
    validator,  // pooling always 2 x 2 with stride 2, code 3 is ReLU
};

// Reads the number of layers and the layers. Every failure throws Error(model).
std::vector<Layer> read_layers(BinaryReader& reader, NetworkFormat format);

// Size of a pooled map: round((size - kernel) / stride) + 1, halves away from zero. Needs size >= kernel.
constexpr int pooled_size(int size, int kernel, int stride) {
    return (2 * (size - kernel) + stride) / (2 * stride) + 1;
}

}  // namespace openface
