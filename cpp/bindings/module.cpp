// The extension module pyopenface._core: a table of contents.
#include "bindings.h"
#include "gil.h"

PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
    namespace py = pybind11;
    module.doc() = "pyopenface's engine: landmark detection, head pose, gaze and action units.";
    pyopenface::register_errors(module);
    pyopenface::register_exit(module);
    pyopenface::register_build_config(module);
    pyopenface::register_pipeline(module);
    pyopenface::register_csv_format(module);
    pyopenface::register_face_analyser(module);
    py::module_ stages =
        module.def_submodule("stages", "Single stages of the engine, for tests against golden data.");
    pyopenface::register_arithmetic_stages(stages);
    pyopenface::register_grey_stages(stages);
    pyopenface::register_shape_stages(stages);
    pyopenface::register_ccnf_stages(stages);
    pyopenface::register_association_stages(stages);
    pyopenface::register_nn_stages(stages);
    pyopenface::register_face_detector(module, stages);
    pyopenface::register_face_analyser_stages(stages);
    pyopenface::register_validator_stages(stages);
    pyopenface::register_patch_experts_stages(stages);
    pyopenface::register_fitting_stages(stages);
    pyopenface::register_digest_stages(stages);
}
