// Run-time choice of the instruction set.
//
// Hot loops stand in *.kernels.cpp files, which CMake compiles once per instruction set with OPENFACE_ISA
// naming it. Such a file puts its functions into namespace openface::OPENFACE_ISA; a header declares each of
// them with
//     OPENFACE_KERNEL(add, void(const float* a, const float* b, float* sum, int count));
// and callers write openface::add(a, b, sum, count), which goes to the best version this CPU can run. All
// versions give the same bits (core/simd.h says how), so the choice is only about speed.
//
// Constraint: a kernel file must not instantiate inline functions of other headers that the rest of the
// engine also uses (std::vector, std::sort, ...): the linker keeps one copy of such a function, and it could
// be the AVX-512 one.
#pragma once

#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace openface {

enum class Isa { portable, avx2, avx512, neon };

// The instruction set in use: the best that CPU and build have, or the one that the environment variable
// PYOPENFACE_ISA names. Throws Error(input) if that one can't be used here.
Isa active_isa();
// Switches for the whole process; meant for tests and benchmarks, not while another thread is computing.
void set_active_isa(Isa isa);
// Those that both this build and this CPU have, from the slowest to the fastest.
std::vector<Isa> available_isas();
std::string_view isa_name(Isa isa);
Isa isa_from_name(std::string_view name);

namespace detail {
extern Isa selected_isa;  // set before main() by dispatch.cpp
}

#if defined(__x86_64__) || defined(_M_X64)
#define OPENFACE_KERNEL(name, ...)                                                      \
    namespace portable {                                                                \
    std::type_identity_t<__VA_ARGS__> name;                                             \
    }                                                                                   \
    namespace avx2 {                                                                    \
    std::type_identity_t<__VA_ARGS__> name;                                             \
    }                                                                                   \
    namespace avx512 {                                                                  \
    std::type_identity_t<__VA_ARGS__> name;                                             \
    }                                                                                   \
    inline constexpr auto name = [](auto&&... arguments) {                              \
        switch (::openface::detail::selected_isa) {                                     \
            case ::openface::Isa::avx512:                                               \
                return avx512::name(std::forward<decltype(arguments)>(arguments)...);   \
            case ::openface::Isa::avx2:                                                 \
                return avx2::name(std::forward<decltype(arguments)>(arguments)...);     \
            default:                                                                    \
                return portable::name(std::forward<decltype(arguments)>(arguments)...); \
        }                                                                               \
    }
#elif defined(__aarch64__) || defined(_M_ARM64)
#define OPENFACE_KERNEL(name, ...)                                              \
    namespace portable {                                                        \
    std::type_identity_t<__VA_ARGS__> name;                                     \
    }                                                                           \
    namespace neon {                                                            \
    std::type_identity_t<__VA_ARGS__> name;                                     \
    }                                                                           \
    inline constexpr auto name = [](auto&&... arguments) {                      \
        if (::openface::detail::selected_isa == ::openface::Isa::neon)          \
            return neon::name(std::forward<decltype(arguments)>(arguments)...); \
        return portable::name(std::forward<decltype(arguments)>(arguments)...); \
    }
#else
#define OPENFACE_KERNEL(name, ...)                                              \
    namespace portable {                                                        \
    std::type_identity_t<__VA_ARGS__> name;                                     \
    }                                                                           \
    inline constexpr auto name = [](auto&&... arguments) {                      \
        return portable::name(std::forward<decltype(arguments)>(arguments)...); \
    }
#endif

}  // namespace openface
