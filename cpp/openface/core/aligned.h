// Memory for SIMD: vectors and matrices whose storage starts on a 64-byte boundary.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace openface {

template <class T>
struct AlignedAllocator {
    using value_type = T;
    static constexpr std::align_val_t alignment{64};

    AlignedAllocator() = default;
    template <class U>
    AlignedAllocator(const AlignedAllocator<U>&) noexcept {}

    T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), alignment)); }
    void deallocate(T* pointer, std::size_t) noexcept { ::operator delete(pointer, alignment); }
    bool operator==(const AlignedAllocator&) const noexcept { return true; }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

// Rounds a count up to a whole number of vector lanes.
constexpr int padded(int count, int lanes = 8) {
    return (count + lanes - 1) / lanes * lanes;
}

// A dense row-major matrix that owns its elements. Rows follow each other without padding.
template <class T>
struct Matrix {
    int rows = 0;
    int cols = 0;
    AlignedVector<T> data;

    Matrix() = default;
    Matrix(int rows_, int cols_) : rows(rows_), cols(cols_), data(std::size_t(rows_) * std::size_t(cols_)) {}

    std::size_t size() const { return data.size(); }
    T& operator()(int row, int col) { return data[std::size_t(row) * std::size_t(cols) + std::size_t(col)]; }
    const T& operator()(int row, int col) const {
        return data[std::size_t(row) * std::size_t(cols) + std::size_t(col)];
    }
};

}  // namespace openface
