// FaceAnalyser::state and restore: everything that later results depend on, as bytes.
//
// Layout, little-endian, without padding:
//   8 bytes   "OFACEAU" and a zero
//   u32       version (2)
//   u64       fingerprint of the model
//   u8, u8    live, keeps history
//   u64       frame counter of the video
//   u8        1 if medians follow; then for appearance (4464 entries) and geometry (238):
//             u32 sample count; per entry f64 median, u32 number of occupied bins, per bin u16 index and u32
//             count
//   u32       frames seen by the live correction; per intensity 200 x u32
//   u64, u64  frames in the history, and how many of them are of earlier videos
//   per frame u8 kind (0 failed, 1 final, 2 pending) and, unless failed, one f64 per predictor
//   u64       FNV-1a hash of everything before
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "openface/core/error.h"
#include "openface/face_analyser/face_analyser.h"
#include "openface/face_analyser/hash.h"

namespace openface {

static_assert(std::endian::native == std::endian::little, "states are little-endian and written as they are");

namespace {
constexpr char signature[8] = "OFACEAU";
constexpr std::uint32_t version = 2;
constexpr std::uint32_t most_samples = 1u << 31;  // years of video; ranks are computed in 32 bits
}  // namespace

class StateWriter {
  public:
    std::vector<char> write(const FaceAnalyser& analyser) {
        bytes_.insert(bytes_.end(), signature, signature + sizeof signature);
        put(version);
        put(analyser.model_->fingerprint());
        put(std::uint8_t(analyser.live_));
        put(std::uint8_t(analyser.keeps_history_));
        put(analyser.frame_counter_);
        put(std::uint8_t(analyser.medians_.has_value()));
        if (analyser.medians_) {
            put(analyser.medians_->appearance);
            put(analyser.medians_->geometry);
        }
        put(analyser.correction_.count());
        for (const std::uint32_t count : analyser.correction_.counts()) put(count);
        put_history(analyser.history_, std::size_t(analyser.model_->predictors().count()));
        put(fnv1a(bytes_.data(), bytes_.size()));
        return std::move(bytes_);
    }

  private:
    template <class T>
        requires std::is_arithmetic_v<T>
    void put(T value) {
        const char* raw = reinterpret_cast<const char*>(&value);
        bytes_.insert(bytes_.end(), raw, raw + sizeof value);
    }
    void put(const RunningMedian& median) {
        put(median.count());
        std::vector<std::uint32_t> samples(std::size_t(median.range().bins));
        for (int entry = 0; entry < median.entries(); ++entry) {
            put(median.medians()[std::size_t(entry)]);
            median.copy_samples(entry, samples);
            put(std::uint32_t(std::count_if(samples.begin(), samples.end(), [](auto n) { return n != 0; })));
            for (std::size_t bin = 0; bin < samples.size(); ++bin)
                if (samples[bin] != 0) {
                    put(std::uint16_t(bin));
                    put(samples[bin]);
                }
        }
    }
    void put_history(const FaceAnalyser::History& history, std::size_t predictors) {
        put(std::uint64_t(history.kinds.size()));
        put(std::uint64_t(history.earlier));
        for (std::size_t i = 0; i < history.kinds.size(); ++i) {
            put(std::uint8_t(history.kinds[i]));
            if (history.kinds[i] == FaceAnalyser::Kind::failed) continue;
            for (std::size_t p = 0; p < predictors; ++p) put(history.values[i * predictors + p]);
        }
    }

    std::vector<char> bytes_;
};

class StateReader {
  public:
    explicit StateReader(std::span<const char> bytes) : bytes_(bytes) {}

    // The analyser that the bytes describe.
    FaceAnalyser read(std::shared_ptr<const FaceAnalyserModel> model) {
        check_envelope(*model);
        const int predictors = model->predictors().count();
        const bool dynamic = model->predictors().any_dynamic();
        const bool live = take_flag();
        const bool history = take_flag();
        FaceAnalyser analyser(std::move(model), live, history);
        analyser.frame_counter_ = take<std::uint64_t>();
        if (take_flag()) {
            require(dynamic, "it holds medians, which this model does not use");
            analyser.medians_ =
                FaceAnalyser::Medians{RunningMedian(fhog::length, appearance_range),
                                      RunningMedian(analyser.model_->geometry_length(), geometry_range)};
            read_median(analyser.medians_->appearance);
            read_median(analyser.medians_->geometry);
            analyser.gather_medians();
        }
        analyser.correction_.count() = take<std::uint32_t>();
        std::vector<std::uint32_t>& counts = analyser.correction_.counts();
        for (std::uint32_t& count : counts) count = take<std::uint32_t>();
        for (std::size_t unit = 0; unit < counts.size(); unit += LiveCorrection::bins)
            check_sum(std::span(counts).subspan(unit, LiveCorrection::bins), analyser.correction_.count());
        read_history(analyser.history_, std::size_t(predictors));
        require(history || analyser.history_.kinds.empty(), "it holds frames, but says that it keeps none");
        require(bytes_.size() == offset_, "bytes are left over at its end");
        return analyser;
    }

  private:
    static void require(bool good, const char* cause) {
        if (!good) throw Error(Error::Code::input, std::string("face analyser state: ") + cause);
    }
    template <class T>
    T take() {
        require(bytes_.size() - offset_ >= sizeof(T), "it ends too early");
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof value);
        offset_ += sizeof value;
        return value;
    }
    bool take_flag() {
        const auto value = take<std::uint8_t>();
        require(value <= 1, "a flag is neither 0 nor 1");
        return value == 1;
    }
    double take_finite() {
        const double value = take<double>();
        require(std::isfinite(value), "it holds a value that is not a finite number");
        return value;
    }
    static void check_sum(std::span<const std::uint32_t> counts, std::uint32_t expected) {
        std::uint64_t sum = 0;
        for (const std::uint32_t count : counts) sum += count;
        require(sum == expected, "a histogram does not add up to its number of frames");
    }

    void check_envelope(const FaceAnalyserModel& model) {
        require(bytes_.size() >= sizeof signature + sizeof version + 16 &&
                    std::memcmp(bytes_.data(), signature, sizeof signature) == 0,
                "these bytes are no saved state");
        offset_ = sizeof signature;
        require(take<std::uint32_t>() == version, "it was saved by another version of this format");
        const std::size_t end = bytes_.size() - sizeof(std::uint64_t);
        std::uint64_t hash;
        std::memcpy(&hash, bytes_.data() + end, sizeof hash);
        require(fnv1a(bytes_.data(), end) == hash, "it is truncated or damaged");
        bytes_ = bytes_.first(end);
        require(take<std::uint64_t>() == model.fingerprint(), "it was saved with other predictors");
    }

    void read_median(RunningMedian& median) {
        const auto count = take<std::uint32_t>();
        require(count < most_samples, "it counts more frames than there can be");
        std::vector<double> medians(std::size_t(median.entries()));
        std::vector<std::uint32_t> samples(std::size_t(median.range().bins));
        for (int entry = 0; entry < median.entries(); ++entry) {
            medians[std::size_t(entry)] = take_finite();
            std::fill(samples.begin(), samples.end(), 0);
            const auto occupied = take<std::uint32_t>();
            require(occupied <= samples.size(), "a histogram has too many bins");
            for (std::uint32_t i = 0; i < occupied; ++i) {
                const auto bin = take<std::uint16_t>();
                require(bin < samples.size(), "a histogram has too many bins");
                samples[bin] = take<std::uint32_t>();
            }
            check_sum(samples, count);
            for (int bin = 0; bin < median.range().bins; ++bin)
                if (samples[std::size_t(bin)] != 0) median.set_samples(entry, bin, samples[std::size_t(bin)]);
        }
        median.restore(count, medians);
    }

    void read_history(FaceAnalyser::History& history, std::size_t predictors) {
        using Kind = FaceAnalyser::Kind;
        const auto frames = take<std::uint64_t>();
        const auto earlier = take<std::uint64_t>();
        require(frames <= bytes_.size() - offset_, "it ends too early");
        require(earlier <= frames, "it holds fewer frames than those of earlier videos");
        history.earlier = std::size_t(earlier);
        for (std::uint64_t i = 0; i < frames; ++i) {
            const auto kind = take<std::uint8_t>();
            require(kind <= std::uint8_t(Kind::pending), "a frame is of an unknown kind");
            history.kinds.push_back(Kind(kind));
            history.pending += i >= earlier && history.kinds.back() == Kind::pending;
            for (std::size_t p = 0; p < predictors; ++p)
                history.values.push_back(history.kinds.back() == Kind::failed ? 0.0 : take_finite());
        }
    }

    std::span<const char> bytes_;
    std::size_t offset_ = 0;
};

std::vector<char> FaceAnalyser::state() const {
    return StateWriter().write(*this);
}

void FaceAnalyser::restore(std::span<const char> state) {
    *this = StateReader(state).read(model_);
}

}  // namespace openface
