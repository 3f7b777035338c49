// stages.Pdm and the rotation functions: the shape room, one call per golden array (packed landmark vectors).
#include "bindings.h"
#include "openface/core/error.h"
#include "openface/shape/pdm.h"

namespace pyopenface {

namespace {

using openface::GlobalParameters;
using openface::Pdm;
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

GlobalParameters global_from(const FloatArray& values) {
    if (values.size() != 6)
        throw openface::Error(openface::Error::Code::input, "six global parameters expected");
    const float* v = values.data();
    return {v[0], v[1], v[2], v[3], v[4], v[5]};
}

py::array_t<float> global_array(const GlobalParameters& g) {
    const std::array<float, 6> values{g.scale, g.rx, g.ry, g.rz, g.tx, g.ty};
    return to_array(std::span<const float>(values));
}

// The PDM with working memory of its own, for calls from Python.
struct PdmStage {
    std::shared_ptr<const Pdm> pdm;
    openface::PdmScratch scratch;
    openface::PdmFitScratch fit;
    openface::LandmarkWeights weights;

    py::array_t<float> packed(const float* points, int axes) const {
        py::array_t<float> result(axes * pdm->landmark_count());
        pdm->pack(points, axes, result.mutable_data());
        return result;
    }
    std::vector<float> padded_local(const FloatArray& local) const {
        if (local.size() != pdm->mode_count())
            throw openface::Error(openface::Error::Code::input, "one local parameter per mode expected");
        return {local.data(), local.data() + local.size()};
    }
};

}  // namespace

void register_shape_stages(py::module_& stages) {
    py::class_<PdmStage>(stages, "Pdm")
        .def(py::init([](const std::filesystem::path& path) {
            PdmStage stage;
            stage.pdm = Pdm::load(path);
            stage.pdm->prepare(stage.scratch);
            return stage;
        }))
        .def_property_readonly("landmark_count", [](const PdmStage& s) { return s.pdm->landmark_count(); })
        .def_property_readonly("mode_count", [](const PdmStage& s) { return s.pdm->mode_count(); })
        .def_property_readonly("mean_shape", [](const PdmStage& s) { return s.packed(s.pdm->mean(0), 3); })
        .def_property_readonly("eigenvalues",
                               [](const PdmStage& s) { return to_array(s.pdm->eigenvalues()); })
        .def("shape3d",
             [](PdmStage& s, const FloatArray& local) {
                 s.pdm->shape3d(s.padded_local(local).data(), s.scratch.shape3d.data());
                 return s.packed(s.scratch.shape3d.data(), 3);
             })
        .def("shape2d",
             [](PdmStage& s, const FloatArray& global, const FloatArray& local) {
                 openface::AlignedVector<float> xy(std::size_t(2 * s.pdm->stride()));
                 s.pdm->shape2d(global_from(global), s.padded_local(local).data(), xy.data(), s.scratch);
                 return s.packed(xy.data(), 2);
             })
        .def("global_from_box",
             [](PdmStage& s, const std::array<float, 4>& box, const FloatArray& local,
                const std::array<float, 3>& angles) {
                 return global_array(s.pdm->global_from_box({box[0], box[1], box[2], box[3]},
                                                            s.padded_local(local).data(), angles[0],
                                                            angles[1], angles[2], s.scratch));
             })
        .def("clamp",
             [](const PdmStage& s, const FloatArray& local) {
                 std::vector<float> values = s.padded_local(local);
                 s.pdm->clamp(values.data());
                 return to_array(std::span<const float>(values));
             })
        .def("update",
             [](const PdmStage& s, const FloatArray& increment, const FloatArray& global,
                const FloatArray& local) {
                 GlobalParameters g = global_from(global);
                 std::vector<float> values = s.padded_local(local);
                 if (increment.size() != 6 && increment.size() != 6 + s.pdm->mode_count())
                     throw openface::Error(openface::Error::Code::input,
                                           "an increment has 6 or 6 + m values");
                 s.pdm->update({increment.data(), std::size_t(increment.size())}, g, values.data());
                 return py::make_tuple(global_array(g), to_array(std::span<const float>(values)));
             })
        .def("solve_step",
             [](PdmStage& s, const FloatArray& global, const FloatArray& local, const FloatArray& weights,
                const FloatArray& residual, float regularisation, bool rigid) {
                 const int stride = s.pdm->stride();
                 std::vector<float> values = s.padded_local(local);
                 openface::AlignedVector<float> r(std::size_t(2 * stride));
                 s.weights.plain = false;
                 s.weights.values.assign(std::size_t(stride), 0.0f);
                 std::copy(weights.data(), weights.data() + s.pdm->landmark_count(),
                           s.weights.values.begin());
                 s.pdm->unpack(residual.data(), 2, r.data());
                 s.pdm->shape3d(values.data(), s.scratch.shape3d.data());
                 return to_array(s.pdm->solve_step(global_from(global), values.data(), s.weights, r.data(),
                                                   regularisation, rigid, s.scratch));
             })
        .def("fit_to_landmarks", [](PdmStage& s, const FloatArray& landmarks) {
            if (landmarks.size() != 2 * s.pdm->landmark_count())
                throw openface::Error(openface::Error::Code::input, "2n landmark coordinates expected");
            GlobalParameters g;
            std::vector<float> local(std::size_t(s.pdm->mode_count()));
            s.pdm->fit_to_landmarks(landmarks.data(), g, local.data(), s.fit);
            return py::make_tuple(global_array(g), to_array(std::span<const float>(local)));
        });

    stages.def("rotation_from_euler",
               [](const std::array<float, 3>& e) { return openface::rotation_from_euler(e[0], e[1], e[2]); });
    stages.def("rotation_from_euler_in_float", [](const std::array<float, 3>& e) {
        return openface::rotation_from_euler_in_float(e[0], e[1], e[2]);
    });
    stages.def("euler_from_rotation", &openface::euler_from_rotation);
    stages.def("axis_angle_from_rotation", &openface::axis_angle_from_rotation);
    stages.def("rotation_from_axis_angle", &openface::rotation_from_axis_angle);
    stages.def("similarity_between", [](const FloatArray& source, const FloatArray& destination) {
        const py::ssize_t n = source.size() / 2;
        std::vector<float> points[4];
        for (int axis = 0; axis < 2; ++axis)
            for (py::ssize_t i = 0; i < n; ++i) {
                points[axis].push_back(source.data()[2 * i + axis]);
                points[2 + axis].push_back(destination.data()[2 * i + axis]);
            }
        const openface::Similarity s = openface::similarity_between(
            points[0].data(), points[1].data(), points[2].data(), points[3].data(), int(n));
        return std::array<float, 4>{s.xx, s.xy, s.yx, s.yy};
    });
}

}  // namespace pyopenface
