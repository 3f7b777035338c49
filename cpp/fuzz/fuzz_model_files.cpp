// A libFuzzer harness for the loaders of model files: any bytes give a model or an openface::Error of code
// model. OPENFACE_FUZZ_LOADER names the function below that a program is built around.
//
// Loaders take paths, so the bytes are put into an anonymous file (memfd), which has a path under /proc.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "openface/core/error.h"
#include "openface/face_analyser/fhog.h"
#include "openface/face_analyser/model.h"
#include "openface/landmark_detector/landmark_model.h"
#include "openface/landmark_detector/validator.h"
#include "openface/nn/interleaved_network.h"
#include "openface/patch_experts/ccnf.h"
#include "openface/patch_experts/cen_experts.h"
#include "openface/patch_experts/early_termination.h"
#include "openface/patch_experts/svr_experts.h"

namespace {

using openface::BinaryReader;

// An anonymous file, overwritten again and again.
class MemoryFile {
  public:
    MemoryFile() : descriptor_(memfd_create("model", 0)) {
        if (descriptor_ < 0) std::abort();
    }
    void write(const void* data, std::size_t size) const {
        if (ftruncate(descriptor_, 0) != 0) std::abort();
        if (pwrite(descriptor_, data, size, 0) != ssize_t(size)) std::abort();
    }
    void write(const std::string& text) const { write(text.data(), text.size()); }
    std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  private:
    int descriptor_;
};

// The seeds have five landmarks and three views.
constexpr int landmark_count = 5;
constexpr int view_count = 3;

[[maybe_unused]] void load_pdm(const MemoryFile& file) {
    openface::Pdm::load(file.path());
}

[[maybe_unused]] void load_ccnf(const MemoryFile& file) {
    openface::CcnfExperts::load({file.path()}, landmark_count);
}

[[maybe_unused]] void load_cen(const MemoryFile& file) {
    openface::CenExperts::load({file.path()}, landmark_count);
}

[[maybe_unused]] void load_svr(const MemoryFile& file) {
    openface::SvrExperts::load({file.path()}, 4);
}

[[maybe_unused]] void load_early_termination(const MemoryFile& file) {
    openface::EarlyTermination::load(file.path(), view_count);
}

[[maybe_unused]] void load_validator(const MemoryFile& file) {
    openface::Validator::load(file.path(), landmark_count);
}

// A network of the face detector, taken as each of its three; what loads must also run.
[[maybe_unused]] void load_interleaved_network(const MemoryFile& file) {
    for (const int side : {12, 24, 48}) {
        try {
            BinaryReader reader(file.path());
            const auto layers = openface::read_layers(reader, openface::NetworkFormat::mtcnn);
            const openface::InterleavedNetwork network(layers, {2, 1, 0}, side, side == 12, reader);
            reader.expect_end();
            std::vector<float> pixels(std::size_t(side * side * 3) + openface::dot_slack, 0.5f);
            openface::NetworkScratch scratch;
            network.run_maps({pixels.data(), side, side, 3}, scratch);
        } catch (const openface::Error& error) {
            if (error.code() != openface::Error::Code::model) throw;
        }
    }
}

[[maybe_unused]] void load_main_file(const MemoryFile& file) {
    openface::LandmarkModel::load(file.path());
}

[[maybe_unused]] void load_au_predictor(const MemoryFile& file) {
    static const MemoryFile list;
    list.write(file.path().string() + " AU45\n");
    openface::Predictors(list.path(), openface::fhog::length + 208);
}

// The triangles are read before the (empty) list of predictors is refused.
[[maybe_unused]] void load_triangles(const MemoryFile& file) {
    static const MemoryFile main_file, pdm, list;
    std::string shape = "204\n1\n6\n";
    for (int i = 0; i < 204; ++i) shape += std::to_string(i * 37 % 101) + "\n";
    shape += "204\n1\n6\n";
    for (int i = 0; i < 204; ++i) shape += i == 0 ? "1\n" : "0\n";
    pdm.write(shape + "1\n1\n6\n9\n");
    main_file.write("AUPredictor " + list.path().string() + "\nPDM " + pdm.path().string() +
                    "\nTriangulation " + file.path().string() + "\n");
    openface::FaceAnalyserModel::load(main_file.path());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const MemoryFile file;
    file.write(data, size);
    try {
        OPENFACE_FUZZ_LOADER(file);
    } catch (const openface::Error& error) {
        if (error.code() != openface::Error::Code::model) throw;
    }
    return 0;
}
