// stages.digest: hashes over every bit of the engine's results, to compare instruction sets and machines.
#include "bindings.h"
#include "tests/digest.h"

namespace pyopenface {

namespace {
py::dict by_stage(const std::vector<openface::tests::StageDigest>& digests) {
    py::dict result;
    for (const auto& [stage, hash] : digests) result[py::str(stage)] = hash;
    return result;
}
}  // namespace

void register_digest_stages(py::module_& stages) {
    stages.def("digest_stages", [] { return by_stage(openface::tests::digest_stages()); });
    stages.def(
        "digest_tracking",
        [](const std::filesystem::path& models, const py::array& picture) {
            return by_stage(openface::tests::digest_tracking(models, view_of_image(picture, "picture")));
        },
        py::arg("models"), py::arg("picture"));
}

}  // namespace pyopenface
