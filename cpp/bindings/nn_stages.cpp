// stages.run_interleaved_network and stages.run_planar_network: a network file of MTCNN's kind, or the layers
// of a validator's view as a file of their own, applied to one input.
#include "bindings.h"
#include "openface/core/error.h"
#include "openface/nn/interleaved_network.h"
#include "openface/nn/planar_network.h"

namespace pyopenface {

namespace {

using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

// maps: (height, width, inputs), channel c of which is input map order[c] of the file. A network that takes
// any size returns a map, (height, width, outputs), another one a vector.
py::array_t<float> run_interleaved_network(const std::filesystem::path& path, const FloatArray& maps,
                                           const std::vector<int>& order, int side, bool any_size) {
    openface::BinaryReader reader(path);
    const auto layers = openface::read_layers(reader, openface::NetworkFormat::mtcnn);
    const openface::InterleavedNetwork network(layers, order, side, any_size, reader);
    reader.expect_end();
    if (maps.ndim() != 3 || maps.shape(2) != py::ssize_t(order.size()))
        throw openface::Error(openface::Error::Code::input, "maps must have shape (H, W, inputs)");
    openface::NetworkScratch scratch;
    const openface::InterleavedMap input{maps.data(), int(maps.shape(0)), int(maps.shape(1)),
                                         int(maps.shape(2))};
    const openface::InterleavedMap map = network.run_maps(input, scratch);
    if (any_size) {
        py::array_t<float> result({map.height, map.width, map.channels});
        std::copy(map.data, map.data + result.size(), result.mutable_data());
        return result;
    }
    openface::AlignedVector<float> vectors(std::size_t(network.vector_inputs()) + openface::dot_slack);
    network.run_maps(input, scratch, vectors.data());
    const float* outputs = network.run_vectors(vectors.data(), 1, scratch);
    return to_array(std::span<const float>(outputs, std::size_t(network.outputs())));
}

py::array_t<float> run_planar_network(const std::filesystem::path& path, const FloatArray& map) {
    if (map.ndim() != 2) throw openface::Error(openface::Error::Code::input, "map must have shape (H, W)");
    const int height = int(map.shape(0));
    const int width = int(map.shape(1));
    openface::BinaryReader reader(path);
    const auto layers = openface::read_layers(reader, openface::NetworkFormat::validator);
    const openface::PlanarNetwork network(layers, height, width, reader);
    reader.expect_end();
    const int stride = openface::padded(width);
    openface::AlignedVector<float> input(std::size_t(stride) * std::size_t(height) + openface::planar_slack);
    for (int y = 0; y < height; ++y)
        std::copy_n(map.data(y, 0), width, input.begin() + std::ptrdiff_t(y) * stride);
    openface::PlanarScratch scratch;
    return to_array(
        std::span<const float>(network.run(input.data(), scratch), std::size_t(network.outputs())));
}

}  // namespace

void register_nn_stages(py::module_& stages) {
    stages.def("run_interleaved_network", &run_interleaved_network, py::arg("path"), py::arg("maps"),
               py::arg("order"), py::arg("side"), py::arg("any_size"));
    stages.def("run_planar_network", &run_planar_network, py::arg("path"), py::arg("map"));
}

}  // namespace pyopenface
