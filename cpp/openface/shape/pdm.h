// The point distribution model: a linear 3D shape model seen in weak perspective (landmark-fitting.md,
// section 3).
//
// Parameters <-> 3D and 2D points, the normal equations of a Gauss-Newton step, and the fit of the model to
// given 2D landmarks. Inside the engine points lie in padded structure-of-arrays form: `stride()` floats of
// x, then of y (then of z), where stride is the landmark count rounded up to whole vectors.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "openface/core/aligned.h"
#include "openface/shape/parameters.h"
#include "openface/shape/rotation.h"

namespace openface {

class Pdm;

// What a landmark counts in the normal equations.
struct LandmarkWeights {
    AlignedVector<float> values;  // stride() floats, 0 for landmarks that don't take part
    bool plain = true;            // all are 0 or 1
};

// Working memory of one fit; sized by Pdm::prepare and reused.
struct PdmScratch {
    AlignedVector<float> shape3d;   // 3 * stride
    AlignedVector<float> jacobian;  // see pdm_jacobian
    AlignedVector<float> weighted;  // the Jacobian times the weights, unless they are plain
    AlignedVector<float> hessian;   // (6 + m) rows
    AlignedVector<float> factor;    // see solve_cholesky
    AlignedVector<float> increment;
};

// Working memory of Pdm::fit_to_landmarks. A model without the landmarks that were missing last time is kept.
struct PdmFitScratch {
    PdmScratch pdm;
    AlignedVector<float> target;    // 2 * stride
    AlignedVector<float> shape;     // 2 * stride
    AlignedVector<float> measured;  // 3 * stride
    AlignedVector<float> residual;  // 2 * stride
    LandmarkWeights weights;
    std::vector<int> present;
    std::shared_ptr<const Pdm> reduced;
    const Pdm* owner = nullptr;
};

class Pdm {
  public:
    static std::shared_ptr<const Pdm> load(const std::filesystem::path& path);
    // mean: 3n (x..., y..., z...); modes: 3n x m; eigenvalues: m. Throws Error(model) naming `path`.
    Pdm(const std::filesystem::path& path, const Matrix<double>& mean, const Matrix<double>& modes,
        const Matrix<double>& eigenvalues);

    int landmark_count() const { return n_; }
    int mode_count() const { return m_; }
    int stride() const { return stride_; }
    int mode_stride() const { return mode_stride_; }
    std::span<const float> eigenvalues() const { return {eigenvalues_.data(), std::size_t(m_)}; }
    std::span<const float> limits() const { return {limits_.data(), std::size_t(m_)}; }
    // One coordinate (0 x, 1 y, 2 z) of the mean shape or of a mode: stride() floats, zero behind the last
    // landmark.
    const float* mean(int axis) const { return mean_.data() + std::size_t(axis) * std::size_t(stride_); }
    const float* mode(int k, int axis) const {
        return modes_.data() + (std::size_t(k) * 3 + std::size_t(axis)) * std::size_t(stride_);
    }

    // 3D shape in model space, 3 * stride() floats.
    void shape3d(const float* local, float* xyz) const;
    // Projection of a 3D shape, 2 * stride() floats.
    void project(const GlobalParameters& global, const float* xyz, float* xy) const;
    // Both, with the 3D shape left in the scratch.
    void shape2d(const GlobalParameters& global, const float* local, float* xy, PdmScratch& scratch) const;

    // Parameters for which the shape fills the box when turned by the angles (section 3.3).
    GlobalParameters global_from_box(const Box& box, const float* local, float rx, float ry, float rz,
                                     PdmScratch& scratch) const;
    // Limits each mode to three standard deviations.
    void clamp(float* local) const;
    // Adds an increment of 6 or 6 + m values: the rotation part turns, the others add (section 3.5).
    void update(std::span<const float> increment, GlobalParameters& global, float* local) const;

    void prepare(PdmScratch& scratch) const;

    // Solves (J^T W J + L) increment = J^T W r - (L q) at the parameters whose 3D shape is in the scratch; r
    // is the residual or mean shift (2 * stride()), L the diagonal `regularisation` / eigenvalue. Without
    // modes
    // (`rigid`) only the first six unknowns. The result stays in the scratch: 6 or 6 + m values, all zero
    // when the matrix is not positive definite (section 5.5).
    std::span<const float> solve_step(const GlobalParameters& global, const float* local,
                                      const LandmarkWeights& weights, const float* residual,
                                      float regularisation, bool rigid, PdmScratch& scratch) const;

    // Fits the model to 2D landmarks (2n: x of all, then y; x exactly 0 marks a missing one), starting from
    // the mean shape without rotation (section 3.7). Writes the global and the m local parameters.
    void fit_to_landmarks(const float* landmarks, GlobalParameters& global, float* local,
                          PdmFitScratch& scratch) const;

    // Padded to packed (2n or 3n without gaps) and back; padding becomes 0.
    void pack(const float* padded_points, int axes, float* packed) const;
    void unpack(const float* packed, int axes, float* padded_points) const;

  private:
    Pdm() = default;
    // The same model with some of its landmarks only.
    std::shared_ptr<const Pdm> with_landmarks(const std::vector<int>& chosen) const;
    void lay_out_modes();
    // Projection of a 3D shape in the arithmetic of the fit to landmarks, double (section 9.3, item 12).
    void shape_of_fit(const GlobalParameters& global, const float* xyz, float* xy) const;
    void fit_to_present_landmarks(GlobalParameters& global, float* local, PdmFitScratch& scratch) const;

    int n_ = 0;
    int m_ = 0;
    int stride_ = 0;
    int mode_stride_ = 0;
    AlignedVector<float> mean_;               // 3 x stride
    AlignedVector<float> modes_;              // m x 3 x stride
    AlignedVector<float> modes_by_landmark_;  // 3 x stride rows of mode_stride
    AlignedVector<float> eigenvalues_;
    AlignedVector<float> limits_;
};

}  // namespace openface
