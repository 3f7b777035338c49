#include "openface/nn/layers.h"

#include <string>

namespace openface {

namespace {

constexpr int max_layers = 64;
constexpr int max_maps = 4096;
constexpr int max_kernel = 64;
constexpr int max_pool = 16;
// The largest published layer has 294912 weights. The limit keeps the padded copies of a made-up file small.
constexpr std::size_t max_weights = std::size_t(1) << 22;
constexpr std::size_t matrix_header_bytes = 12;

std::vector<float> read_vector(BinaryReader& reader, const char* field) {
    const Matrix<float> matrix = reader.read_float_matrix(field);
    if (matrix.rows != 1 && matrix.cols != 1) reader.fail(field, "a vector expected, one row or one column");
    if (matrix.size() == 0) reader.fail(field, "is empty");
    return {matrix.data.begin(), matrix.data.end()};
}

void require_kernels(const BinaryReader& reader, std::size_t kernels, std::size_t kernel_size) {
    if (kernels * kernel_size > max_weights)
        reader.fail("convolution kernels", "more weights than a layer may have");
    if (kernels * (matrix_header_bytes + kernel_size * sizeof(float)) > reader.remaining())
        reader.fail("convolution kernels",
                    std::to_string(kernels) + " kernels don't fit into the rest of the file");
}

Layer read_convolution(BinaryReader& reader) {
    Layer layer;
    layer.kind = Layer::Kind::convolution;
    layer.inputs = reader.read_count("convolution input maps", 1, max_maps);
    layer.outputs = reader.read_count("convolution output maps", 1, max_maps);
    const std::size_t kernels = std::size_t(layer.inputs) * std::size_t(layer.outputs);
    require_kernels(reader, kernels, 1);
    for (int i = 0; i < layer.outputs; ++i) layer.bias.push_back(reader.read_float("convolution bias"));
    for (std::size_t i = 0; i < kernels; ++i) {
        const Matrix<float> kernel = reader.read_float_matrix("convolution kernel");
        if (i == 0) {
            layer.kernel_height = kernel.rows;
            layer.kernel_width = kernel.cols;
            if (kernel.rows < 1 || kernel.cols < 1 || kernel.rows > max_kernel || kernel.cols > max_kernel)
                reader.fail("convolution kernel", "sides must be 1 to " + std::to_string(max_kernel));
            require_kernels(reader, kernels - 1, kernel.size());
            layer.weights.reserve(kernels * kernel.size());
        }
        if (kernel.rows != layer.kernel_height || kernel.cols != layer.kernel_width)
            reader.fail("convolution kernel", "kernels of one layer differ in size");
        layer.weights.insert(layer.weights.end(), kernel.data.begin(), kernel.data.end());
    }
    return layer;
}

Layer read_pooling(BinaryReader& reader, NetworkFormat format) {
    Layer layer;
    layer.kind = Layer::Kind::max_pooling;
    layer.kernel_width = layer.kernel_height = layer.stride_x = layer.stride_y = 2;
    if (format == NetworkFormat::mtcnn) {
        layer.kernel_width = reader.read_count("pooling width", 1, max_pool);
        layer.kernel_height = reader.read_count("pooling height", 1, max_pool);
        layer.stride_x = reader.read_count("pooling stride x", 1, max_pool);
        layer.stride_y = reader.read_count("pooling stride y", 1, max_pool);
        // Otherwise the last window, whose place is rounded, could start behind the map.
        if (layer.stride_x >= 2 * layer.kernel_width || layer.stride_y >= 2 * layer.kernel_height)
            reader.fail("pooling stride", "must be less than twice the window");
    }
    return layer;
}

Layer read_fully_connected(BinaryReader& reader) {
    Layer layer;
    layer.kind = Layer::Kind::fully_connected;
    layer.bias = read_vector(reader, "fully connected bias");
    const Matrix<float> weights = reader.read_float_matrix("fully connected weights");
    if (weights.size() == 0) reader.fail("fully connected weights", "are empty");
    if (weights.size() > max_weights)
        reader.fail("fully connected weights", "more weights than a layer may have");
    if (weights.cols != int(layer.bias.size()))
        reader.fail("fully connected weights", std::to_string(weights.cols) + " columns, but " +
                                                   std::to_string(layer.bias.size()) + " biases");
    layer.inputs = weights.rows;
    layer.outputs = weights.cols;
    layer.weights.assign(weights.data.begin(), weights.data.end());
    return layer;
}

Layer read_rectifier(BinaryReader& reader, NetworkFormat format) {
    Layer layer;
    layer.kind = Layer::Kind::relu;
    if (format == NetworkFormat::mtcnn) {
        layer.kind = Layer::Kind::prelu;
        layer.weights = read_vector(reader, "PReLU slopes");
        layer.inputs = layer.outputs = int(layer.weights.size());
    }
    return layer;
}

}  // namespace

std::vector<Layer> read_layers(BinaryReader& reader, NetworkFormat format) {
    const int count = reader.read_count("number of layers", 1, max_layers);
    std::vector<Layer> layers;
    for (int i = 0; i < count; ++i) {
        switch (reader.read_count("layer code", 0, 4)) {
            case 0:
                layers.push_back(read_convolution(reader));
                break;
            case 1:
                layers.push_back(read_pooling(reader, format));
                break;
            case 2:
                layers.push_back(read_fully_connected(reader));
                break;
            case 3:
                layers.push_back(read_rectifier(reader, format));
                break;
            default:
                layers.emplace_back().kind = Layer::Kind::logistic;
                break;
        }
    }
    return layers;
}

}  // namespace openface
