// stages.association_matrix: one expert's association matrix from its parts (landmark-fitting.md,
// section 4.4).
#include <algorithm>

#include "bindings.h"
#include "openface/core/error.h"
#include "openface/patch_experts/association.h"

namespace pyopenface {

namespace {
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;
}

void register_association_stages(py::module_& stages) {
    stages.def("association_matrix", [](int window, float alpha_sum, const std::vector<float>& betas,
                                        const std::vector<FloatArray>& edge_matrices) {
        openface::EdgeComponents edges;
        edges.window = window;
        if (window < 1 || window > 31 || window % 2 == 0 || betas.size() != edge_matrices.size())
            throw openface::Error(openface::Error::Code::input, "window, betas: not as they should be");
        const int n = edges.positions();
        for (const FloatArray& given : edge_matrices) {
            if (given.ndim() != 2 || given.shape(0) != n || given.shape(1) != n)
                throw openface::Error(openface::Error::Code::input, "edge matrix: not window^2 x window^2");
            openface::Matrix<float> matrix(n, n);
            std::copy(given.data(), given.data() + given.size(), matrix.data.data());
            edges.add(std::move(matrix));
        }
        openface::AssociationScratch scratch;
        openface::AlignedVector<float> columns(edges.association_size());
        const bool positive = openface::make_association(edges, alpha_sum, betas, scratch, columns.data());
        py::array_t<float> result({n, n});
        auto out = result.mutable_unchecked<2>();
        const int height = openface::padded(n, 16);
        for (int i = 0; i < n; ++i)
            for (int k = 0; k < n; ++k) out(i, k) = columns[std::size_t(k * height + i)];
        return py::make_tuple(result, positive);
    });
    stages.def("association_without_edges", &openface::association_without_edges);
}

}  // namespace pyopenface
