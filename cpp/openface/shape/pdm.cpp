#include "openface/shape/pdm.h"

#include <algorithm>
#include <cmath>

#include "openface/io/file_bytes.h"
#include "openface/io/text_reader.h"
#include "openface/shape/pdm_kernels.h"

namespace openface {

namespace {

constexpr int most_modes = 250;  // the solver keeps its diagonal on the stack

struct Extent {
    float low_x, high_x, low_y, high_y;
};

Extent extent(const float* x, const float* y, int count) {
    Extent e{0, 0, 0, 0};
    for (int i = 0; i < count; ++i) {
        if (i == 0) e = {x[0], x[0], y[0], y[0]};
        e.low_x = std::min(e.low_x, x[i]);
        e.high_x = std::max(e.high_x, x[i]);
        e.low_y = std::min(e.low_y, y[i]);
        e.high_y = std::max(e.high_y, y[i]);
    }
    return e;
}

}  // namespace

std::shared_ptr<const Pdm> Pdm::load(const std::filesystem::path& path) {
    TextReader reader(path);
    const Matrix<double> mean = reader.read_real_matrix("mean shape");
    const Matrix<double> modes = reader.read_real_matrix("principal components");
    const Matrix<double> eigenvalues = reader.read_real_matrix("eigenvalues");
    reader.expect_end();
    return std::make_shared<const Pdm>(path, mean, modes, eigenvalues);
}

Pdm::Pdm(const std::filesystem::path& path, const Matrix<double>& mean, const Matrix<double>& modes,
         const Matrix<double>& eigenvalues) {
    const auto check = [&](bool good, const char* field, const char* cause) {
        if (!good) throw_model_error(path, field, cause);
    };
    check(mean.size() % 3 == 0 && (mean.rows == 1 || mean.cols == 1), "mean shape",
          "not a vector of 3n numbers");
    check(mean.size() >= 9 && mean.size() <= 3000, "mean shape", "not between 3 and 1000 landmarks");
    check(std::size_t(modes.rows) == mean.size(), "principal components",
          "rows differ from the mean shape's length");
    check(modes.cols >= 1 && modes.cols <= std::min(modes.rows, most_modes), "principal components",
          "the number of modes is not between 1 and the number of coordinates (at most 250)");
    check(eigenvalues.size() == std::size_t(modes.cols), "eigenvalues",
          "their number differs from that of the modes");
    for (const double value : eigenvalues.data)
        check(float(value) > 0.0f, "eigenvalues", "a value is not positive");

    n_ = int(mean.size() / 3);
    m_ = modes.cols;
    // pdm_shape3d takes three vectors at a time, so 3 * stride is a multiple of 24 with any whole number of
    // vectors.
    stride_ = padded(n_);
    mode_stride_ = padded(m_);
    mean_.assign(std::size_t(3) * std::size_t(stride_), 0.0f);
    modes_.assign(std::size_t(m_) * mean_.size(), 0.0f);
    for (int axis = 0; axis < 3; ++axis)
        for (int i = 0; i < n_; ++i) {
            const int row = axis * n_ + i;
            mean_[std::size_t(axis * stride_ + i)] = float(mean.data[std::size_t(row)]);
            for (int k = 0; k < m_; ++k)
                modes_[std::size_t((k * 3 + axis) * stride_ + i)] = float(modes(row, k));
        }
    eigenvalues_.assign(std::size_t(mode_stride_), 1.0f);
    limits_.assign(std::size_t(mode_stride_), 0.0f);
    for (int k = 0; k < m_; ++k) {
        const float value = float(eigenvalues.data[std::size_t(k)]);
        eigenvalues_[std::size_t(k)] = value;
        limits_[std::size_t(k)] = float(3.0 * std::sqrt(double(value)));
    }
    lay_out_modes();
}

void Pdm::lay_out_modes() {
    modes_by_landmark_.assign(std::size_t(3 * stride_) * std::size_t(mode_stride_), 0.0f);
    for (int row = 0; row < 3 * stride_; ++row)
        for (int k = 0; k < m_; ++k)
            modes_by_landmark_[std::size_t(row) * std::size_t(mode_stride_) + std::size_t(k)] =
                modes_[std::size_t(k) * mean_.size() + std::size_t(row)];
}

std::shared_ptr<const Pdm> Pdm::with_landmarks(const std::vector<int>& chosen) const {
    const std::shared_ptr<Pdm> reduced(new Pdm);
    reduced->n_ = int(chosen.size());
    reduced->m_ = m_;
    reduced->stride_ = padded(reduced->n_);
    reduced->mode_stride_ = mode_stride_;
    reduced->mean_.assign(std::size_t(3 * reduced->stride_), 0.0f);
    reduced->modes_.assign(std::size_t(m_) * reduced->mean_.size(), 0.0f);
    for (int axis = 0; axis < 3; ++axis)
        for (int i = 0; i < reduced->n_; ++i) {
            const int from = chosen[std::size_t(i)], to = axis * reduced->stride_ + i;
            reduced->mean_[std::size_t(to)] = mean(axis)[from];
            for (int k = 0; k < m_; ++k)
                reduced->modes_[std::size_t(k) * reduced->mean_.size() + std::size_t(to)] =
                    mode(k, axis)[from];
        }
    reduced->eigenvalues_ = eigenvalues_;
    reduced->limits_ = limits_;
    reduced->lay_out_modes();
    return reduced;
}

void Pdm::shape3d(const float* local, float* xyz) const {
    pdm_shape3d(mean_.data(), modes_.data(), local, m_, stride_, xyz);
}

void Pdm::project(const GlobalParameters& g, const float* xyz, float* xy) const {
    const Matrix3 rotation = rotation_from_euler(g.rx, g.ry, g.rz);
    pdm_project(xyz, stride_, rotation.data(), g.scale, g.tx, g.ty, xy);
}

void Pdm::prepare(PdmScratch& scratch) const {
    const auto grow = [](AlignedVector<float>& buffer, std::size_t size) {
        if (buffer.size() < size) buffer.resize(size);
    };
    const std::size_t width = std::size_t(padded(6 + m_));
    grow(scratch.shape3d, std::size_t(3 * stride_));
    grow(scratch.jacobian, std::size_t(2 * n_) * width + 8);
    grow(scratch.weighted, std::size_t(2 * n_) * width + 8);
    grow(scratch.hessian, width * width);
    grow(scratch.factor, 2 * width * width);
    grow(scratch.increment, width + 8);
}

void Pdm::shape2d(const GlobalParameters& global, const float* local, float* xy, PdmScratch& scratch) const {
    prepare(scratch);
    shape3d(local, scratch.shape3d.data());
    project(global, scratch.shape3d.data(), xy);
}

GlobalParameters Pdm::global_from_box(const Box& box, const float* local, float rx, float ry, float rz,
                                      PdmScratch& scratch) const {
    prepare(scratch);
    float* xyz = scratch.shape3d.data();
    shape3d(local, xyz);
    const Matrix3 r = rotation_from_euler(rx, ry, rz);
    float* turned = scratch.jacobian.data();
    for (int axis = 0; axis < 2; ++axis)
        for (int i = 0; i < n_; ++i)
            turned[axis * stride_ + i] = (r[axis * 3] * xyz[i] + r[axis * 3 + 1] * xyz[stride_ + i]) +
                                         r[axis * 3 + 2] * xyz[2 * stride_ + i];
    const Extent e = extent(turned, turned + stride_, n_);
    GlobalParameters g;
    g.scale = (box.width / (e.high_x - e.low_x) + box.height / (e.high_y - e.low_y)) / 2.0f;
    g.rx = rx;
    g.ry = ry;
    g.rz = rz;
    g.tx = float(double(box.x + box.width / 2.0f) -
                 double(g.scale) * (double(e.low_x) + double(e.high_x)) / 2.0);
    g.ty = float(double(box.y + box.height / 2.0f) -
                 double(g.scale) * (double(e.low_y) + double(e.high_y)) / 2.0);
    return g;
}

void Pdm::clamp(float* local) const {
    for (int k = 0; k < m_; ++k) {
        const float limit = limits_[std::size_t(k)];
        local[k] = std::min(limit, std::max(-limit, local[k]));
    }
}

void Pdm::update(std::span<const float> increment, GlobalParameters& g, float* local) const {
    g.scale += increment[0];
    g.tx += increment[4];
    g.ty += increment[5];
    const Vector3 euler = compose_rotation({g.rx, g.ry, g.rz}, {increment[1], increment[2], increment[3]});
    g.rx = euler[0];
    g.ry = euler[1];
    g.rz = euler[2];
    for (std::size_t k = 6; k < increment.size(); ++k) local[k - 6] += increment[k];
}

std::span<const float> Pdm::solve_step(const GlobalParameters& g, const float* local,
                                       const LandmarkWeights& weights, const float* residual,
                                       float regularisation, bool rigid, PdmScratch& scratch) const {
    const int size = rigid ? 6 : 6 + m_, width = padded(size);
    const Matrix3 rotation = rotation_from_euler(g.rx, g.ry, g.rz);
    const float* jacobian = scratch.jacobian.data();
    const float* weighted = jacobian;
    float* hessian = scratch.hessian.data();
    float* x = scratch.increment.data();
    pdm_jacobian(JacobianInput{scratch.shape3d.data(), modes_by_landmark_.data(), weights.values.data(),
                               rotation.data(), g.scale, n_, stride_, mode_stride_, rigid},
                 width, scratch.jacobian.data());
    if (!weights.plain) {
        pdm_weight_jacobian(jacobian, weights.values.data(), n_, width, scratch.weighted.data());
        weighted = scratch.weighted.data();
    }
    pdm_hessian(weighted, jacobian, 2 * n_, size, width, hessian);
    pdm_gradient(weighted, residual, n_, stride_, size, width, x);
    for (int k = 6; k < size; ++k) {
        const float strength = regularisation / eigenvalues_[std::size_t(k - 6)];
        hessian[k * width + k] += strength;
        x[k] = float(double(x[k]) - double(strength) * double(local[k - 6]));
    }
    if (!solve_cholesky(hessian, size, width, scratch.factor.data(), x)) std::fill(x, x + size, 0.0f);
    return {x, std::size_t(size)};
}

void Pdm::fit_to_landmarks(const float* landmarks, GlobalParameters& g, float* local,
                           PdmFitScratch& scratch) const {
    // A landmark takes part unless its x is exactly 0.
    const auto takes_part = [landmarks](int i) { return landmarks[i] != 0.0f; };
    const bool same = scratch.owner == this && [&] {
        std::size_t next = 0;
        for (int i = 0; i < n_; ++i)
            if (takes_part(i) && (next == scratch.present.size() || scratch.present[next++] != i))
                return false;
        return next == scratch.present.size();
    }();
    if (!same) {
        scratch.present.clear();
        for (int i = 0; i < n_; ++i)
            if (takes_part(i)) scratch.present.push_back(i);
        scratch.reduced = int(scratch.present.size()) == n_ ? nullptr : with_landmarks(scratch.present);
        scratch.owner = this;
    }
    const Pdm& model = scratch.reduced == nullptr ? *this : *scratch.reduced;
    const std::size_t stride = std::size_t(model.stride_);
    scratch.target.assign(2 * stride, 0.0f);
    for (std::size_t i = 0; i < scratch.present.size(); ++i) {
        scratch.target[i] = landmarks[scratch.present[i]];
        scratch.target[stride + i] = landmarks[n_ + scratch.present[i]];
    }
    model.fit_to_present_landmarks(g, local, scratch);
}

void Pdm::shape_of_fit(const GlobalParameters& g, const float* xyz, float* xy) const {
    const Matrix3 rotation = rotation_from_euler(g.rx, g.ry, g.rz);
    pdm_project_in_double(xyz, stride_, rotation.data(), g.scale, g.tx, g.ty, xy);
}

void Pdm::fit_to_present_landmarks(GlobalParameters& g, float* local, PdmFitScratch& scratch) const {
    prepare(scratch.pdm);
    scratch.shape.resize(2 * std::size_t(stride_));
    scratch.measured.resize(3 * std::size_t(stride_));
    scratch.residual.resize(2 * std::size_t(stride_));
    scratch.weights.values.assign(std::size_t(stride_), 1.0f);

    const float* target = scratch.target.data();
    const Extent box = extent(target, target + stride_, n_);
    const Extent mean_box = extent(mean(0), mean(1), n_);
    g = GlobalParameters{};
    g.scale = ((box.high_x - box.low_x) / (mean_box.high_x - mean_box.low_x) +
               (box.high_y - box.low_y) / (mean_box.high_y - mean_box.low_y)) /
              2.0f;
    g.tx = (box.low_x + box.high_x) / 2.0f;
    g.ty = (box.low_y + box.high_y) / 2.0f;
    std::fill(local, local + m_, 0.0f);

    float* xyz = scratch.pdm.shape3d.data();
    float* shape = scratch.shape.data();
    const auto residual_norm = [&] {
        for (int axis = 0; axis < 2; ++axis)
            for (int i = 0; i < stride_; ++i) {
                const int j = axis * stride_ + i;
                scratch.residual[std::size_t(j)] = i < n_ ? target[j] - shape[j] : 0.0f;
            }
        return euclidean_norm(scratch.residual.data(), 2 * stride_);
    };
    // The 3D shape whose projection is compared with the landmarks; that of the Jacobian is always in float.
    const bool few_points = 3 * n_ < 100;
    float* measured = few_points ? scratch.measured.data() : xyz;
    const auto form = [&] {
        shape3d(local, xyz);
        if (few_points) pdm_shape3d_in_double(mean_.data(), modes_.data(), local, m_, stride_, measured);
    };
    form();
    project(g, xyz, shape);
    float old_error = residual_norm();
    int strikes = 0;
    float step[6 + most_modes];
    for (int iteration = 0; iteration < 1000 && strikes < 3; ++iteration) {
        shape_of_fit(g, measured, shape);
        residual_norm();
        const std::span<const float> solution =
            solve_step(g, local, scratch.weights, scratch.residual.data(), 1.0f, false, scratch.pdm);
        for (std::size_t k = 0; k < solution.size(); ++k) step[k] = 0.75f * solution[k];
        update({step, solution.size()}, g, local);
        // The reference measures the new pose with the old form; only the next iteration sees both.
        shape_of_fit(g, measured, shape);
        const float error = residual_norm();
        if (0.999 * double(old_error) < double(error)) ++strikes;
        old_error = error;
        form();
    }
}

void Pdm::pack(const float* points, int axes, float* packed) const {
    for (int axis = 0; axis < axes; ++axis)
        std::copy(points + axis * stride_, points + axis * stride_ + n_, packed + axis * n_);
}

void Pdm::unpack(const float* packed, int axes, float* points) const {
    for (int axis = 0; axis < axes; ++axis) {
        std::copy(packed + axis * n_, packed + (axis + 1) * n_, points + axis * stride_);
        std::fill(points + axis * stride_ + n_, points + (axis + 1) * stride_, 0.0f);
    }
}

}  // namespace openface
