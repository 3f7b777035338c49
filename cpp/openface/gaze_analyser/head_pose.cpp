#include "openface/gaze_analyser/head_pose.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cmath>

#include "openface/core/math.h"

namespace openface {

namespace {

using Vector6 = Eigen::Matrix<double, 6, 1>;
using Matrix6 = Eigen::Matrix<double, 6, 6>;
using Matrix3d = Eigen::Matrix3d;
using Vector3d = Eigen::Vector3d;

constexpr int most_rounds = 20;
constexpr double smallest_change = 1.19209e-7;

Matrix3d cross_matrix(const Vector3d& v) {
    Matrix3d m;
    m << 0.0, -v.z(), v.y(), v.z(), 0.0, -v.x(), -v.y(), v.x(), 0.0;
    return m;
}

Matrix3d rotation_of(const Vector3d& r) {
    const double angle = std::sqrt(r.squaredNorm());
    if (angle < 2.220446049250313e-16) return Matrix3d::Identity();
    const Vector3d k = r / angle;
    const double c = math::cos(angle), s = math::sin(angle);
    return c * Matrix3d::Identity() + (1.0 - c) * (k * k.transpose()) + s * cross_matrix(k);
}

// The factor F of d(R p)/dr = -R [p]x F (Gallego and Yezzi 2015).
Matrix3d rotation_derivative_factor(const Vector3d& r, const Matrix3d& rotation) {
    const double squared = r.squaredNorm();
    if (squared < 1e-20) return Matrix3d::Identity();
    return (r * r.transpose() + (rotation.transpose() - Matrix3d::Identity()) * cross_matrix(r)) / squared;
}

struct Points {
    const float *x, *y, *z;  // model
    const float *u, *v;      // image
    int count;
};

// Squared reprojection error; with it, where asked for, J^T J and J^T e.
double reprojection_error(const Points& points, const Camera& camera, const Vector6& pose, Matrix6* a,
                          Vector6* b) {
    const Vector3d r = pose.head<3>(), t = pose.tail<3>();
    const Matrix3d rotation = rotation_of(r);
    Matrix3d factor;
    if (a != nullptr) {
        a->setZero();
        b->setZero();
        factor = rotation_derivative_factor(r, rotation);
    }
    double total = 0.0;
    for (int i = 0; i < points.count; ++i) {
        const Vector3d p(points.x[i], points.y[i], points.z[i]);
        const Vector3d q = rotation * p + t;
        const double depth = q.z() != 0.0 ? 1.0 / q.z() : 1.0;
        const double x = q.x() * depth, y = q.y() * depth;
        const double ex = double(camera.fx) * x + double(camera.cx) - double(points.u[i]);
        const double ey = double(camera.fy) * y + double(camera.cy) - double(points.v[i]);
        total += ex * ex + ey * ey;
        if (a == nullptr) continue;
        Eigen::Matrix<double, 2, 3> projection;
        projection << double(camera.fx) * depth, 0.0, -double(camera.fx) * x * depth, 0.0,
            double(camera.fy) * depth, -double(camera.fy) * y * depth;
        Eigen::Matrix<double, 2, 6> jacobian;
        jacobian.leftCols<3>() = -(projection * (rotation * cross_matrix(p)) * factor);
        jacobian.rightCols<3>() = projection;
        *a += jacobian.transpose() * jacobian;
        *b += jacobian.transpose() * Eigen::Vector2d(ex, ey);
    }
    return total;
}

double power_of_ten(int exponent) {
    double value = 1.0;
    for (int i = 0; i < std::abs(exponent); ++i) value *= 10.0;
    return exponent < 0 ? 1.0 / value : value;
}

Vector6 minimise(const Points& points, const Camera& camera, Vector6 pose) {
    int exponent = -3;
    Matrix6 a;
    Vector6 b;
    double error = reprojection_error(points, camera, pose, &a, &b);
    for (int round = 0; round < most_rounds; ++round) {
        Vector6 next;
        double next_error;
        while (true) {
            Matrix6 damped = a;
            damped.diagonal() *= 1.0 + power_of_ten(exponent);
            next = pose - damped.ldlt().solve(b);
            next_error = reprojection_error(points, camera, next, nullptr, nullptr);
            if (!(next_error > error) || exponent >= 16) break;
            ++exponent;
        }
        exponent = std::max(exponent - 1, -16);
        const double change = std::sqrt((next - pose).squaredNorm()) / std::sqrt(pose.squaredNorm());
        pose = next;
        if (!(change >= smallest_change)) break;
        error = reprojection_error(points, camera, pose, &a, &b);
    }
    return pose;
}

}  // namespace

void landmarks_3d(const Pdm& pdm, const ShapeState& state, const Camera& camera, PdmScratch& scratch,
                  float* xyz) {
    pdm.prepare(scratch);
    const int n = pdm.landmark_count(), stride = pdm.stride();
    const float* shape = scratch.shape3d.data();
    pdm.shape3d(state.local.data(), scratch.shape3d.data());
    const GlobalParameters& g = state.global;
    const Matrix3 r = rotation_from_euler(g.rx, g.ry, g.rz);
    const float average_depth = camera.fx / g.scale;
    for (int i = 0; i < n; ++i) {
        const float turned = float(double(r[6]) * shape[i] + double(r[7]) * shape[stride + i] +
                                   double(r[8]) * shape[2 * stride + i]);
        const float z = average_depth + turned;
        xyz[i] = z * ((state.landmarks[std::size_t(i)] - camera.cx) / camera.fx);
        xyz[n + i] = z * ((state.landmarks[std::size_t(n + i)] - camera.cy) / camera.fy);
        xyz[2 * n + i] = z;
    }
}

std::array<float, 6> head_pose(const Pdm& pdm, const ShapeState& state, const Camera& camera,
                               PdmScratch& scratch) {
    const GlobalParameters& g = state.global;
    if (g.scale == 0.0f) return {};
    pdm.prepare(scratch);
    pdm.shape3d(state.local.data(), scratch.shape3d.data());
    const int n = pdm.landmark_count(), stride = pdm.stride();
    const float* shape = scratch.shape3d.data();
    const Points points{
        shape, shape + stride, shape + 2 * stride, state.landmarks.data(), state.landmarks.data() + n, n};
    const float depth = camera.fx / g.scale;
    Vector6 start;
    start << g.rx, g.ry, g.rz, depth * (g.tx - camera.cx) / camera.fx, depth * (g.ty - camera.cy) / camera.fy,
        depth;
    const Vector6 pose = minimise(points, camera, start);
    const Vector3 euler =
        euler_from_rotation(rotation_from_axis_angle({float(pose[0]), float(pose[1]), float(pose[2])}));
    return {float(pose[3]), float(pose[4]), float(pose[5]), euler[0], euler[1], euler[2]};
}

}  // namespace openface
