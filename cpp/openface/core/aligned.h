// Memory for SIMD: vectors and matrices whose storage starts on a 64-byte boundary.
#pragma once

#include <cstddef>
#include <memory>
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

// Memory on a 64-byte boundary that is not cleared, for what is written before it is read.
class UninitialisedFloats {
  public:
    UninitialisedFloats() = default;
    explicit UninitialisedFloats(std::size_t count)
        : values_(static_cast<float*>(::operator new(count * sizeof(float), std::align_val_t{64}))) {}

    float* data() { return values_.get(); }
    const float* data() const { return values_.get(); }

  private:
    struct Release {
        void operator()(float* values) const noexcept { ::operator delete(values, std::align_val_t{64}); }
    };
    std::unique_ptr<float[], Release> values_;
};

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
