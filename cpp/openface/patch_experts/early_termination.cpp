#include "openface/patch_experts/early_termination.h"

#include "openface/io/text_reader.h"

namespace openface {

EarlyTermination EarlyTermination::load(const std::filesystem::path& path, int view_count) {
    TextReader reader(path);
    const auto read = [&](const char* field) {
        std::vector<double> values;
        for (int view = 0; view < view_count; ++view) values.push_back(reader.read_double(field));
        return values;
    };
    EarlyTermination result;
    result.weights = read("early termination weight");
    result.biases = read("early termination bias");
    result.cutoffs = read("early termination cut-off");
    reader.expect_end();
    return result;
}

}  // namespace openface
