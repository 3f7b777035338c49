// pyopenface.build_config(): compiler, flags and instruction sets of this build.
#include "bindings.h"
#include "openface/core/dispatch.h"

namespace pyopenface {

namespace {
std::vector<std::string> available() {
    std::vector<std::string> names;
    for (const openface::Isa isa : openface::available_isas()) names.emplace_back(openface::isa_name(isa));
    return names;
}
}  // namespace

void register_build_config(py::module_& module) {
    openface::active_isa();  // reads PYOPENFACE_ISA now, so that a wrong name fails at import and not in a
                             // hot loop
    module.attr("__version__") = OPENFACE_VERSION;
    module.def("_compiler", [] { return std::string(__VERSION__); });
    module.def("_available_instruction_sets", &available);
    module.def("_instruction_set", [] { return std::string(openface::isa_name(openface::active_isa())); });
    module.def("_set_instruction_set",
               [](const std::string& name) { openface::set_active_isa(openface::isa_from_name(name)); });
}

}  // namespace pyopenface
