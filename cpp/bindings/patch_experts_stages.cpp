// stages.CenExperts, stages.SvrExperts, stages.DenseNetworks, stages.early_termination: responses of one
// scale, and the networks of the CEN experts on their own, for tests and benchmarks.
#include <chrono>

#include "bindings.h"
#include "openface/core/error.h"
#include "openface/patch_experts/cen_experts.h"
#include "openface/patch_experts/early_termination.h"
#include "openface/patch_experts/svr_experts.h"

namespace pyopenface {

namespace {

using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;
using openface::CenExperts;
using openface::DenseNetworks;
using openface::PatchExperts;
using openface::SvrExperts;

[[noreturn]] void refuse(const std::string& cause) {
    throw openface::Error(openface::Error::Code::input, cause);
}

// A grey image with the slack behind its pixels that the engine's loads need.
openface::ImageU8 grey_copy(const py::array& image) {
    const openface::ViewU8 view = view_of_image(image, "image");
    if (view.channels != 1) refuse("image: a grey image is needed");
    openface::ImageU8 copy(view.width, view.height);
    for (int y = 0; y < view.height; ++y) std::copy(view.row(y), view.row(y) + view.width, copy.row(y));
    return copy;
}

// The maps of a query, (n, window, window); those of invisible landmarks are NaN. `respond` fills maps and
// scratch.
template <class Respond>
py::array_t<float> respond_to(const PatchExperts& experts, const py::array& image,
                              const FloatArray& landmarks, float a, float b, int scale, int view, int window,
                              const Respond& respond) {
    const openface::ImageU8 grey = grey_copy(image);
    const int n = experts.landmark_count();
    if (landmarks.size() != 2 * n) refuse("landmarks: 2n coordinates expected");
    openface::ResponseMaps maps;
    openface::PatchScratch scratch;
    respond(openface::ResponseQuery{grey.view(), landmarks.data(), a, b, scale, view, window}, maps, scratch);
    const auto& visible = experts.scales()[std::size_t(scale)].views[std::size_t(view)].visible;
    py::array_t<float> result({n, window, window});
    auto out = result.mutable_unchecked<3>();
    for (int i = 0; i < n; ++i)
        for (int y = 0; y < window; ++y) {
            const float* row = maps.map(i) + y * maps.stride;
            for (int x = 0; x < window; ++x)
                out(i, y, x) = visible[std::size_t(i)] ? row[x] : std::numeric_limits<float>::quiet_NaN();
            for (int x = window; x < maps.stride; ++x)
                if (visible[std::size_t(i)] && row[x] != 0.0f) refuse("a map is not padded with zeros");
        }
    return result;
}

// Seconds per query, the smallest of `repeats`.
template <class Experts>
double time_query(const Experts& experts, const py::array& image, const FloatArray& landmarks, float a,
                  float b, int scale, int view, int window, int repeats) {
    const openface::ImageU8 grey = grey_copy(image);
    if (landmarks.size() != 2 * experts.landmark_count()) refuse("landmarks: 2n coordinates expected");
    openface::ResponseMaps maps;
    openface::PatchScratch scratch;
    double best = 1e9;
    for (int i = 0; i < repeats; ++i) {
        const auto start = std::chrono::steady_clock::now();
        experts.respond({grey.view(), landmarks.data(), a, b, scale, view, window}, maps, scratch);
        best =
            std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

// What the kinds have in common.
template <class Experts>
py::class_<Experts> bind_experts(py::module_& stages, const char* name) {
    return py::class_<Experts>(stages, name)
        .def(py::init(&Experts::load), py::arg("files"), py::arg("landmark_count"))
        .def_property_readonly("scale_count", [](const Experts& e) { return e.scales().size(); })
        .def_property_readonly("kind", &Experts::kind)
        .def("scaling", [](const Experts& e, int scale) { return e.scales().at(std::size_t(scale)).scaling; })
        .def("centres",
             [](const Experts& e, int scale) {
                 std::vector<std::array<double, 3>> centres;
                 for (const auto& view : e.scales().at(std::size_t(scale)).views)
                     centres.push_back(view.centre);
                 return centres;
             })
        .def("visible",
             [](const Experts& e, int scale, int view) {
                 const auto& visible = e.scales().at(std::size_t(scale)).views.at(std::size_t(view)).visible;
                 return std::vector<int>(visible.begin(), visible.end());
             })
        .def("confidence",
             [](const Experts& e, int scale, int view) {
                 return e.scales().at(std::size_t(scale)).views.at(std::size_t(view)).confidence;
             })
        .def("respond",
             [](const Experts& e, const py::array& image, const FloatArray& landmarks, float a, float b,
                int scale, int view, int window) {
                 return respond_to(
                     e, image, landmarks, a, b, scale, view, window,
                     [&](const auto& query, auto& maps, auto& scratch) { e.respond(query, maps, scratch); });
             })
        .def("time_respond", &time_query<Experts>);
}

// Networks of the same layer sizes; weights[i] has shape (networks, outputs, inputs), biases[i] (networks,
// outputs).
DenseNetworks make_networks(const std::vector<FloatArray>& weights, const std::vector<FloatArray>& biases,
                            const std::vector<int>& activations) {
    if (weights.empty() || weights.size() != biases.size() || weights.size() != activations.size())
        refuse("one weight array, bias array and activation per layer");
    std::size_t total = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i].ndim() != 3 || biases[i].ndim() != 2 || weights[i].shape(0) != weights[0].shape(0) ||
            biases[i].shape(0) != weights[i].shape(0) || biases[i].shape(1) != weights[i].shape(1) ||
            (i > 0 && weights[i].shape(2) != weights[i - 1].shape(1)) || weights[i].size() == 0)
            refuse("the shapes of the layers don't fit each other");
        total += std::size_t(weights[i].size() + biases[i].size());
    }
    DenseNetworks networks;
    networks.reserve(total);
    for (py::ssize_t network = 0; network < weights[0].shape(0); ++network) {
        networks.add_network();
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const int outputs = int(weights[i].shape(1)), inputs = int(weights[i].shape(2));
            networks.add_layer(inputs, outputs, openface::Activation(activations[i]),
                               biases[i].data(network, 0), weights[i].data(network, 0, 0));
        }
    }
    return networks;
}

struct BoundNetworks {
    DenseNetworks networks;
    int inputs;
    int outputs;
};

// All networks on the same inputs (positions, inputs) -> (networks, positions, outputs), and the seconds that
// took.
py::tuple evaluate_networks(const BoundNetworks& bound, const FloatArray& inputs) {
    if (inputs.ndim() != 2 || inputs.shape(1) != bound.inputs || inputs.shape(0) < 1)
        refuse("inputs: shape (positions, inputs) expected");
    const int count = int(inputs.shape(0));
    openface::AlignedVector<float> scratch(bound.networks.scratch_size(count));
    py::array_t<float> result({bound.networks.network_count(), count, bound.outputs});
    double seconds = 0.0;
    for (int network = 0; network < bound.networks.network_count(); ++network) {
        const auto start = std::chrono::steady_clock::now();
        const float* out =
            bound.networks.evaluate(network, inputs.data(), bound.inputs, count, scratch.data());
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        for (int i = 0; i < count; ++i)
            std::copy_n(out + i * openface::dense_stride(bound.outputs), bound.outputs,
                        result.mutable_data(network, i, 0));
    }
    return py::make_tuple(result, seconds);
}

}  // namespace

void register_patch_experts_stages(py::module_& stages) {
    bind_experts<CenExperts>(stages, "CenExperts")
        .def("respond_densely", [](const CenExperts& e, const py::array& image, const FloatArray& landmarks,
                                   float a, float b, int scale, int view, int window) {
            return respond_to(e, image, landmarks, a, b, scale, view, window,
                              [&](const auto& query, auto& maps, auto& scratch) {
                                  e.respond(query, CenExperts::Positions::all, maps, scratch);
                              });
        });
    bind_experts<SvrExperts>(stages, "SvrExperts");
    py::class_<BoundNetworks>(stages, "DenseNetworks")
        .def(py::init([](const std::vector<FloatArray>& weights, const std::vector<FloatArray>& biases,
                         const std::vector<int>& activations) {
                 DenseNetworks networks = make_networks(weights, biases, activations);
                 return BoundNetworks{std::move(networks), int(weights.front().shape(2)),
                                      int(weights.back().shape(1))};
             }),
             py::arg("weights"), py::arg("biases"), py::arg("activations"))
        .def("evaluate", &evaluate_networks, py::arg("inputs"));
    stages.def("early_termination", [](const std::filesystem::path& path, int view_count) {
        const auto data = openface::EarlyTermination::load(path, view_count);
        return py::make_tuple(data.weights, data.biases, data.cutoffs);
    });
}

}  // namespace pyopenface
