#include "openface/core/dispatch.h"

#include <cstdlib>
#include <string>

#include "openface/core/error.h"

namespace openface {

std::string_view isa_name(Isa isa) {
    switch (isa) {
        case Isa::portable:
            return "portable";
        case Isa::avx2:
            return "avx2";
        case Isa::avx512:
            return "avx512";
        case Isa::neon:
            return "neon";
    }
    return "unknown";
}

std::vector<Isa> available_isas() {
    std::vector<Isa> found{Isa::portable};
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        found.push_back(Isa::avx2);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
            found.push_back(Isa::avx512);
    }
#elif defined(__aarch64__) || defined(_M_ARM64)
    found.push_back(Isa::neon);
#endif
    return found;
}

Isa isa_from_name(std::string_view name) {
    std::string known;
    for (const Isa isa : available_isas()) {
        if (isa_name(isa) == name) return isa;
        known += (known.empty() ? "" : ", ") + std::string(isa_name(isa));
    }
    throw Error(Error::Code::input, "instruction set '" + std::string(name) +
                                        "' can't be used here; this CPU and build have: " + known);
}

namespace detail {
Isa selected_isa = available_isas().back();
}

namespace {
// The environment is read at the first question instead of at load time, where an exception would end the
// process.
void apply_environment_once() {
    static const bool applied = [] {
        if (const char* wanted = std::getenv("PYOPENFACE_ISA"); wanted != nullptr && *wanted != '\0')
            detail::selected_isa = isa_from_name(wanted);
        return true;
    }();
    static_cast<void>(applied);
}
}  // namespace

Isa active_isa() {
    apply_environment_once();
    return detail::selected_isa;
}

void set_active_isa(Isa isa) {
    apply_environment_once();
    detail::selected_isa = isa_from_name(isa_name(isa));
}

}  // namespace openface
