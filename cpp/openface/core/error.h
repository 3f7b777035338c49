// The engine's one exception. The code says whose fault it is, so that the bindings can raise the matching
// Python class.
#pragma once

#include <stdexcept>
#include <string>

namespace openface {

class Error : public std::runtime_error {
  public:
    enum class Code {
        model,  // a model file is missing, truncated or inconsistent
        input,  // an image, a landmark array or an option can't be used
        state,  // a call that the object's present state doesn't allow
    };

    Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
    Code code() const noexcept { return code_; }

  private:
    Code code_;
};

}  // namespace openface
