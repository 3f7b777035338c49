// Prints the hashes of digest.h for every instruction set that this processor has:
//     same_bits [MODEL_FOLDER PICTURE.ppm]
// one line per instruction set and stage. Exit code 1 if two instruction sets differ.
//
// The Python tests print the same through pyopenface._core.stages; this program is for machines that have no
// Python, such as an emulated one: cmake --preset arm64 builds it, qemu-aarch64 runs it.
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>

#include "digest.h"
#include "openface/core/dispatch.h"
#include "openface/core/error.h"

namespace {

using openface::Error;

// A binary portable pixmap of 8 bits per channel: red, green, blue.
openface::ImageU8 read_picture(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string kind;
    int width = 0, height = 0, maximum = 0;
    if (!(file >> kind >> width >> height >> maximum) || kind != "P6" || maximum != 255 || width < 1 ||
        height < 1 || width > 10000 || height > 10000)
        throw Error(Error::Code::input, std::string(path) + ": a PPM picture (P6, 8 bits) expected");
    file.get();
    openface::ImageU8 image(width, height, 3);
    file.read(reinterpret_cast<char*>(image.data()), std::streamsize(height) * image.stride());
    if (!file) throw Error(Error::Code::input, std::string(path) + ": the picture breaks off");
    for (std::ptrdiff_t i = 0; i < std::ptrdiff_t(height) * image.stride(); i += 3)
        std::swap(image.data()[i], image.data()[i + 2]);
    return image;
}

bool print_hashes(const char* models, const char* picture) {
    std::map<std::string, std::uint64_t> first;
    bool equal = true;
    for (const openface::Isa isa : openface::available_isas()) {
        openface::set_active_isa(isa);
        std::vector<openface::tests::StageDigest> digests = openface::tests::digest_stages();
        if (models != nullptr)
            for (auto& digest : openface::tests::digest_tracking(models, read_picture(picture).view()))
                digests.push_back(digest);
        for (const auto& [stage, hash] : digests) {
            const bool same = first.try_emplace(stage, hash).first->second == hash;
            std::printf("%s %s %016" PRIx64 "%s\n", openface::isa_name(isa).data(), stage.c_str(), hash,
                        same ? "" : " differs");
            equal = equal && same;
        }
    }
    return equal;
}

}  // namespace

int main(int argument_count, char** arguments) {
    if (argument_count != 1 && argument_count != 3) {
        std::fprintf(stderr, "usage: %s [MODEL_FOLDER PICTURE.ppm]\n", arguments[0]);
        return 2;
    }
    try {
        const bool with_models = argument_count == 3;
        return print_hashes(with_models ? arguments[1] : nullptr, with_models ? arguments[2] : nullptr) ? 0
                                                                                                        : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
