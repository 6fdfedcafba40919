// Chance for generators: the same on every machine, and quick. The standard library's distributions are
// neither.
// Threads: one for each object.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace natsession::bench {

// xoshiro256++ (Blackman and Vigna), seeded by splitmix64.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e37'79b9'7f4a'7c15;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11eb;
      word = mixed ^ (mixed >> 31);
    }
    // Quantiles of the normal distribution in the middle of each 4096th, by Newton's method on erfc.
    for (std::size_t i = 0; i < normal_.size(); ++i) {
      const double wanted = (static_cast<double>(i) + 0.5) / static_cast<double>(normal_.size());
      double x = i == 0 ? -3.7 : normal_[i - 1];
      for (int step = 0; step < 12; ++step) {
        const double density = std::exp(-x * x / 2) / 2.5066282746310002;
        x -= (0.5 * std::erfc(-x / 1.4142135623730951) - wanted) / density;
      }
      normal_[i] = x;
    }
  }

  std::uint64_t bits() {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  std::uint32_t below(std::uint32_t limit) {
    return static_cast<std::uint32_t>(((bits() >> 32) * limit) >> 32);
  }
  std::uint32_t between(std::uint32_t low, std::uint32_t high) { return low + below(high - low + 1); }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  bool percent(unsigned share) { return below(100) < share; }

  // Standard normal, between -3.8 and 3.8.
  double normal() {
    const std::uint64_t drawn = bits();
    const std::size_t place = (drawn >> 20) % normal_.size();
    const std::size_t next = place + 1 < normal_.size() ? place + 1 : place;
    const double part = static_cast<double>(drawn & 0xfffff) * 0x1p-20;
    return normal_[place] + part * (normal_[next] - normal_[place]);
  }
  double lognormal(double median, double sigma) { return median * std::exp(sigma * normal()); }
  double pareto(double least, double exponent, double most) {
    return std::fmin(most, least * std::pow(1.0 - uniform(), -1.0 / exponent));
  }

 private:
  std::array<std::uint64_t, 4> state_{};
  std::array<double, 4096> normal_{};
};

// Draws 0 … n-1 by weight in constant time (Vose's alias method).
class WeightedChoice {
 public:
  explicit WeightedChoice(const std::vector<double>& weights) : cells_(weights.size()) {
    double sum = 0;
    for (const double weight : weights) sum += weight;
    std::vector<double> scaled;
    std::vector<std::uint32_t> small;
    std::vector<std::uint32_t> large;
    for (std::uint32_t i = 0; i < weights.size(); ++i) {
      scaled.push_back(weights[i] * static_cast<double>(weights.size()) / sum);
      (scaled[i] < 1 ? small : large).push_back(i);
    }
    while (!small.empty() && !large.empty()) {
      const std::uint32_t poor = small.back();
      const std::uint32_t rich = large.back();
      small.pop_back();
      cells_[poor] = {static_cast<std::uint32_t>(scaled[poor] * 0x1p32), rich};
      scaled[rich] -= 1 - scaled[poor];
      if (scaled[rich] < 1) {
        large.pop_back();
        small.push_back(rich);
      }
    }
    for (const auto& left : {small, large}) {
      for (const std::uint32_t i : left) cells_[i] = {0xffff'ffff, i};
    }
  }

  std::uint32_t draw(Chance& chance) const {
    const std::uint64_t drawn = chance.bits();
    const std::uint64_t place = ((drawn >> 32) * cells_.size()) >> 32;
    const Cell& cell = cells_[place];
    return static_cast<std::uint32_t>(drawn) <= cell.threshold ? static_cast<std::uint32_t>(place)
                                                               : cell.other;
  }

 private:
  struct Cell {
    std::uint32_t threshold = 0;
    std::uint32_t other = 0;
  };
  std::vector<Cell> cells_;
};

}  // namespace natsession::bench
