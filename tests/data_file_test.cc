#include "lockstep/rnn/data_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "allocation_count.h"
#include "catch.h"
#include "data/text_file.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// Reads `content` as a file of the given name.
Dataset read(const std::string& name, const std::string& content) {
  const TemporaryDirectory directory;
  return read_dataset(directory.write(name, content));
}

// The sentence with which `action` refuses; "" if it succeeds.
template <typename Action>
std::string refusal_of(const Action& action) {
  try {
    static_cast<void>(action());
    return "";
  } catch (const DataError& error) {
    return error.what();
  }
}

std::string refusal(const std::string& name, const std::string& content) {
  return refusal_of([&] { return read(name, content); });
}

std::vector<float> values_of(const Dataset& data, std::size_t i) {
  const auto values = data.sequence(i);
  return {values.begin(), values.end()};
}

std::string ts(const std::string& header, const std::string& data) {
  return "@problemName test\n" + header + "\n@data\n" + data;
}

// Explained in data/make_npz.py.
fs::path npz(const std::string& name) { return fs::path(LOCKSTEP_TEST_DATA_DIR) / (name + ".npz"); }

bool can_read_npz() {
  const std::string message = refusal_of([] { return read_dataset(npz("unlabelled")); });
  return message.find("without zlib") == std::string::npos;
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

using Names = std::vector<std::string>;
using Labels = std::vector<int>;
using Values = std::vector<float>;

// ---- any format

TEST_CASE("A path that is no data file is refused") {
  const TemporaryDirectory directory;
  CHECK_THAT(refusal_of([&] { return read_dataset(directory / "none.ts"); }),
             ContainsSubstring("none.ts: the file does not exist"));
  CHECK_THAT(refusal_of([&] { return read_dataset(directory / ""); }),
             ContainsSubstring("not a regular file"));
  CHECK_THAT(refusal("a.ts", ""), ContainsSubstring("the file is empty"));
  CHECK_THAT(refusal("a.xls", "x"),
             ContainsSubstring("unknown extension '.xls', expected one of .ts, .tsv, .txt, .npz"));
}

TEST_CASE("Binary data under the name of a text format is refused") {
  for (const std::string name : {"a.ts", "a.tsv", "a.csv", "a.npz"}) {
    std::string bytes;
    for (int i = 0; i < 1000; ++i) bytes.push_back(static_cast<char>(i * 7919 >> 3));
    CHECK_FALSE(refusal(name, bytes).empty());
    CHECK_FALSE(refusal(name, "\x01\x02\xff\xfe\n\n\x80,,,:::").empty());
    CHECK_FALSE(refusal(name, "\n \n").empty());
  }
  CHECK_THAT(refusal("a.csv", std::string("a\0b", 3)), ContainsSubstring("NUL bytes"));
}

TEST_CASE("Separators in quoted names of columns do not count") {
  const Dataset data = read("a.csv", "sample,step,\"a;b;c;d\"\n0,0,1\n");
  CHECK(data.channel_names() == Names{"a;b;c;d"});
}

TEST_CASE("Any bytes can be shown in a message") {
  using data_file::in_quotes;
  CHECK(in_quotes("a\tb") == "'a?b'");
  CHECK(in_quotes("\xff-\xc3\xa4") ==
        "'?-?"
        "?'");
  CHECK(in_quotes(std::string(39, 'a') + "\xc3\xa4") == "'" + std::string(39, 'a') + "...'");
  CHECK(in_quotes(std::string(60, '\x83')) == "'...'");
}

// Each row must find its class at once: 10^9 comparisons of names would take seconds.
TEST_CASE("Many classes and many rows are read") {
  constexpr int kClasses = 20000;
  constexpr int kRows = 50000;
  std::string header = "@classLabel true";
  std::string rows;
  for (int c = 0; c < kClasses; ++c) header += " class" + std::to_string(c);
  for (int i = 0; i < kRows; ++i) rows += "1:class" + std::to_string(kClasses - 1 - i % 7) + "\n";
  const Dataset data = read("a.ts", header + "\n@data\n" + rows);
  REQUIRE(data.size() == kRows);
  CHECK(data.classes() == kClasses);
  CHECK(data.label(0) == kClasses - 1);
  CHECK(data.label(8) == kClasses - 2);
}

TEST_CASE("The extension may be in capitals") { CHECK(read("A.TSV", "1\t2\n").size() == 1); }

TEST_CASE("A missing label leaves its sequence unlabelled") {
  for (const std::string label : {"", "?"}) {
    const Dataset rows[] = {
        read("a.tsv", label + "\t1\t2\nup\t3\n"),
        read("a.ts", "@classLabel true up\n@data\n1,2:" + label + "\n3:up\n"),
        read("a.csv", "sample,step,x,label\n0,0,1," + label + "\n0,1,2," + label + "\n1,0,3,up\n"),
    };
    for (const Dataset& data : rows) {
      CHECK(data.labels() == Labels{kNoLabel, 0});
      CHECK(data.class_names() == Names{"up"});
      CHECK(values_of(data, 0) == Values{1, 2});
    }
  }
}

// ---- .tsv

TEST_CASE("A .tsv holds a label and values per row") {
  const Dataset data = read("a.tsv", "2\t0.5\t-1e-3\t+3\n10\t1\t2\tNaN\n2\t4\tNaN\tNaN\n");
  CHECK(data.channels() == 1);
  CHECK(data.class_names() == Names{"2", "10"});
  CHECK(data.labels() == Labels{0, 1, 0});
  CHECK(values_of(data, 0) == Values{0.5F, -1e-3F, 3});
  CHECK(values_of(data, 1) == Values{1, 2});
  CHECK(values_of(data, 2) == Values{4});
}

TEST_CASE("A .txt may be separated by commas, end its lines with CRLF and begin with a mark") {
  const Dataset data = read("a.txt",
                            "\xef\xbb\xbf"
                            "b, 1, 2\r\n\r\na,3,4");
  CHECK(data.class_names() == Names{"a", "b"});
  CHECK(data.labels() == Labels{1, 0});
  CHECK(values_of(data, 1) == Values{3, 4});
}

TEST_CASE("Bad .tsv rows are refused with their line") {
  CHECK_THAT(refusal("a.tsv", "1\t2\n\n1\tx\n"), ContainsSubstring("a.tsv:3: step 1 is 'x'"));
  CHECK_THAT(refusal("a.tsv", "1\t2\tNaN\t3\n"), ContainsSubstring("a.tsv:1: step 2 is missing"));
  CHECK_THAT(refusal("a.tsv", "1\t2\t\t3\n"), ContainsSubstring("step 2 is missing"));
  CHECK_THAT(refusal("a.tsv", "1\tNaN\n"), ContainsSubstring("the line has no values"));
  CHECK_THAT(refusal("a.tsv", "123\n"), ContainsSubstring("separated by tabs, commas or blanks"));
  CHECK_THAT(refusal("a.tsv", "1\t1e39\n"), ContainsSubstring("'1e39', expected a finite float32"));
  CHECK_THAT(refusal("a.tsv", "1\tinf\n"), ContainsSubstring("expected a finite float32"));
  CHECK_THAT(refusal("a.tsv", "1\t1.5f\n"), ContainsSubstring("'1.5f'"));
}

// ---- .ts

TEST_CASE("A .ts holds one series per dimension, and declares its classes in order") {
  const Dataset data = read("a.ts", ts("@classLabel true b a c", "1,2,3:4,5,6:a\n7:8:b\n"));
  CHECK(data.channels() == 2);
  CHECK(data.class_names() == Names{"b", "a", "c"});
  CHECK(data.labels() == Labels{1, 0});
  CHECK(values_of(data, 0) == Values{1, 4, 2, 5, 3, 6});
  CHECK(values_of(data, 1) == Values{7, 8});
}

TEST_CASE("A .ts header is read without regard to case, comments, blank lines and CRLF") {
  const Dataset data = read("a.ts",
                            "\xef\xbb\xbf# about\r\n\r\n@PROBLEMNAME x\r\n@timestamps FALSE\r\n"
                            "@Missing false\r\n@univariate\ttrue\r\n@equalLength false\r\n#more\r\n"
                            "@CLASSLABEL True  x\ty \r\n@DATA\r\n\r\n# note\r\n1, 2 : y \r\n");
  CHECK(data.class_names() == Names{"x", "y"});
  CHECK(data.labels() == Labels{1});
  CHECK(values_of(data, 0) == Values{1, 2});
}

TEST_CASE("A .ts without class labels is unlabelled") {
  const Dataset data = read("a.ts", ts("@dimensions 2\n@classLabel false", "1:2\n3,4:5,6\n"));
  CHECK(data.classes() == 0);
  CHECK(data.labels() == Labels{kNoLabel, kNoLabel});
  CHECK(values_of(data, 1) == Values{3, 5, 4, 6});
}

TEST_CASE("A .ts that declares no class names gets those that occur") {
  const Dataset data = read("a.ts", ts("@classLabel true", "1:10\n2:9\n3:10\n"));
  CHECK(data.class_names() == Names{"9", "10"});
  CHECK(data.labels() == Labels{1, 0, 1});
}

TEST_CASE("A .ts with targets has a number for each sequence") {
  const Dataset data = read("a.ts", ts("@targetlabel true", "1,2:0.5\n2,3:-1e3\n4,5:?\n"));
  REQUIRE(data.target_kind() == TargetKind::values);
  CHECK(data.class_names() == Names{"target"});
  CHECK(data.targets(0)[0] == 0.5f);
  CHECK(data.targets(1)[0] == -1000.0f);
  CHECK(std::isnan(data.targets(2)[0]));
}

TEST_CASE("A .csv has numbers to learn in columns called target") {
  const Dataset sums =
      read("a.csv", "sample,step,x,target,target2\n0,0,1,5,?\n0,1,2,5,?\n1,0,3,6,7\n");
  REQUIRE(sums.target_kind() == TargetKind::values);
  CHECK(sums.channels() == 1);
  CHECK(sums.class_names() == Names{"target", "target2"});
  CHECK(sums.targets(0)[0] == 5);
  CHECK(std::isnan(sums.targets(0)[1]));
  CHECK(sums.targets(1)[1] == 7);
  const Dataset steps = read("a.csv", "sample,step,x,target\n0,0,1,5\n0,1,2,6\n");
  REQUIRE(steps.target_kind() == TargetKind::step_values);
  CHECK(steps.targets(0)[1] == 6);
  CHECK_THAT(refusal("a.csv", "sample,step,x,target\n0,0,1,five\n"),
             ContainsSubstring("a.csv:2: column 'target' is 'five'"));
}

TEST_CASE("A .csv has weights in a column sample_weight") {
  const Dataset data =
      read("a.csv", "sample,step,x,label,sample_weight\n0,0,1,a,0.5\n0,1,2,a,0.5\n1,0,3,b,2\n");
  CHECK(data.channels() == 1);
  CHECK(data.weight(0) == 0.5f);
  CHECK(data.weight(1) == 2);
  const auto rows = [](const std::string& text) {
    return refusal("a.csv", "sample,step,x,sample_weight\n" + text);
  };
  CHECK_THAT(rows("0,0,1,1\n0,1,1,2\n"),
             ContainsSubstring("a.csv:3: the sample_weight of sample '0'"));
  for (const char* bad : {"-1", "nan", "", "inf", "x"}) {
    CHECK_THAT(rows("0,0,1," + std::string(bad) + "\n"),
               ContainsSubstring("a.csv:2: the sample_weight is"));
  }
}

TEST_CASE("A .csv has a label for each row where that is wanted") {
  const TemporaryDirectory directory;
  const std::string text = "sample,step,label,x\n0,0,b,1\n0,1,,2\n0,2,a,2\n1,0,a,3\n";
  const auto path = directory.write("a.csv", text);
  const Dataset data = read_dataset(path, {.targets = TargetKind::step_labels});
  CHECK(data.class_names() == Names{"a", "b"});
  CHECK(std::ranges::equal(data.step_labels(0), Labels{1, kNoLabel, 0}));
  CHECK(std::ranges::equal(data.step_labels(1), Labels{0}));
  CHECK_THROWS_WITH(read_dataset(path), ContainsSubstring("expected one label per sample"));
  CHECK_THROWS_WITH(read_dataset(path, {.targets = TargetKind::values}),
                    ContainsSubstring("no column 'target...'"));
}

TEST_CASE("A bad .ts header is refused") {
  const auto header = [](const std::string& line) { return refusal("a.ts", ts(line, "1:a\n")); };
  CHECK_THAT(header("@timeStamps true"), ContainsSubstring("a.ts:2: @timeStamps is true"));
  CHECK_THAT(header("@targetlabel true"), ContainsSubstring("a.ts:4: the target is 'a'"));
  CHECK_THAT(header("@univariate perhaps"), ContainsSubstring("@univariate is 'perhaps'"));
  CHECK_THAT(header("@dimensions -3"), ContainsSubstring("@dimensions is '-3'"));
  CHECK_THAT(header("@dimensions 1e300"), ContainsSubstring("expected a whole number"));
  CHECK_THAT(header("@dimensions"), ContainsSubstring("@dimensions is ''"));
  CHECK_THAT(header("@classLabel"), ContainsSubstring("expected true or false"));
  CHECK_THAT(header("@classLabel true a b a"), ContainsSubstring("declares 'a' twice"));
  CHECK_THAT(header("1,2,3:a"), ContainsSubstring("a.ts:2: found '1,2,3:a' before @data"));
  CHECK_THAT(header("@missing false"), ContainsSubstring("no @classLabel"));
  CHECK_THAT(refusal("a.ts", "@classLabel true a\n"), ContainsSubstring("no @data line"));
  CHECK_THAT(refusal("a.ts", ts("@classLabel true a", "# nothing\n")),
             ContainsSubstring("no sequences"));
}

TEST_CASE("Bad .ts lines are refused with their number") {
  const auto lines = [](const std::string& data) {
    return refusal("a.ts", ts("@dimensions 2\n@classLabel true a b", data));
  };
  CHECK_THAT(lines("1:2:a\n1:a\n"), ContainsSubstring("a.ts:6: the line has 1 dimensions"));
  CHECK_THAT(lines("1,2:3:a\n"), ContainsSubstring("dimension 2 has 1 values, expected 2"));
  CHECK_THAT(lines("1,?:3,4:a\n"), ContainsSubstring("a.ts:5: dimension 1, step 2 is missing"));
  CHECK_THAT(lines("1,2:3,NaN:a\n"), ContainsSubstring("dimension 2, step 2 is missing"));
  CHECK_THAT(lines("1,2:3,z:a\n"), ContainsSubstring("dimension 2, step 2 is 'z'"));
  CHECK_THAT(lines("1:2:c\n"), ContainsSubstring("label 'c' is not among"));
  CHECK_THAT(lines("1,2\n"), ContainsSubstring("no ':'"));
  const std::string univariate = ts("@univariate true\n@classLabel true a", "1:2:a\n");
  CHECK_THAT(refusal("a.ts", univariate), ContainsSubstring("2 dimensions, expected 1"));
}

TEST_CASE("A .ts of equal lengths keeps to the length it declares") {
  const auto with = [](const std::string& header) {
    return refusal("a.ts", ts("@classLabel true a\n" + header, "1,2:3,4:a\n1,2,3:4,5,6:a\n"));
  };
  CHECK_THAT(with("@equalLength true\n@seriesLength 2"),
             ContainsSubstring("a.ts:7: the line has 3 values per dimension, expected 2 as in"));
  CHECK(with("@equalLength false\n@seriesLength 2").empty());
  CHECK(with("@equalLength true").empty());
}

// ---- .csv

TEST_CASE("A .csv holds one timestep per row, with its columns in any order") {
  const Dataset data =
      read("a.csv", "sample,step,x,y,label\nb,0,1,2,up\nb,1,3,4,up\n\na,-2.5,5,6,down\n");
  CHECK(data.channels() == 2);
  CHECK(data.class_names() == Names{"down", "up"});
  CHECK(data.labels() == Labels{1, 0});
  CHECK(values_of(data, 0) == Values{1, 2, 3, 4});
  CHECK(values_of(data, 1) == Values{5, 6});
  CHECK(values_of(read("a.csv", "label,v,step,sample\n1,8,1,s\n"), 0) == Values{8});
}

TEST_CASE("A .csv without a label column is unlabelled") {
  const Dataset data = read("a.csv", "sample,step,x\n1,1,5\n1,2,6\n2,1,7");
  CHECK(data.labels() == Labels{kNoLabel, kNoLabel});
  CHECK(data.length(0) == 2);
}

TEST_CASE("CSV fields may be quoted as in RFC 4180") {
  const Dataset data = read("a.csv",
                            "\xef\xbb\xbf\"sample\",step,\"a,b\",label\r\n"
                            "\"one\r\nid\",1,\"2\",\"say \"\"hi\"\"\"\r\n"
                            "\"one\r\nid\",2,3,\"say \"\"hi\"\"\"\r\n");
  CHECK(data.size() == 1);
  CHECK(data.class_names() == Names{"say \"hi\""});
  CHECK(values_of(data, 0) == Values{2, 3});
}

TEST_CASE("Bad .csv headers are refused") {
  CHECK_THAT(refusal("a.csv", "id,step,x\n"),
             ContainsSubstring("a.csv:1: the header has no column"));
  CHECK_THAT(refusal("a.csv", "sample,x\n"), ContainsSubstring("no column 'step'"));
  CHECK_THAT(refusal("a.csv", "sample,step,label\n"), ContainsSubstring("no channel"));
  CHECK_THAT(refusal("a.csv", "sample,step,step,x\n"), ContainsSubstring("two columns 'step'"));
  CHECK_THAT(refusal("a.csv", "sample,step,x\n"), ContainsSubstring("no rows"));
}

TEST_CASE("Bad .csv rows are refused with their line") {
  const auto rows = [](const std::string& text) {
    return refusal("a.csv", "sample,step,x,label\n" + text);
  };
  CHECK_THAT(rows("1,1,5\n"), ContainsSubstring("a.csv:2: the row has 3 fields, expected 4"));
  CHECK_THAT(rows("1,1,,a\n1,2,1,a\n"), ContainsSubstring("a.csv:2: column 'x' is missing"));
  CHECK_THAT(rows("1,1,NA,a\n"), ContainsSubstring("every value of sample '1' is missing"));
  CHECK_THAT(rows("1,1,q,a\n"), ContainsSubstring("column 'x' is 'q'"));
  CHECK_THAT(rows("1,t,5,a\n"), ContainsSubstring("the step is 't'"));
  CHECK_THAT(rows("1,1,5,a\n1,2,5,b\n"), ContainsSubstring("a.csv:3: the label of sample '1'"));
  CHECK_THAT(rows("1,2,5,a\n1,2,5,a\n"), ContainsSubstring("expected increasing steps"));
  CHECK_THAT(rows("1,1,5,a\n2,1,5,a\n1,2,5,a\n"),
             ContainsSubstring("a.csv:4: sample '1' continues"));
  CHECK_THAT(rows("1,1,5,\"a\n"),
             ContainsSubstring("a.csv:2: a quoted field has no closing quote"));
  CHECK_THAT(rows("\"1\n\",1,5,a\n1,x,5,a\n"), ContainsSubstring("a.csv:4: the step is 'x'"));
}

// ---- what other programs write

TEST_CASE("An index column without a name is left out, and that is said") {
  const TemporaryDirectory directory;
  for (const char* name : {"", "\"\"", "Unnamed: 0"}) {
    const std::string text = std::string(name) + ",sample,step,x,label\n0,0,0,1,a\n1,1,0,2,b\n";
    const DataFile file = read_data_file(directory.write("a.csv", text));
    CHECK(file.data.channels() == 1);
    CHECK(file.data.channel_names() == Names{"x"});
    REQUIRE(file.notes.size() == 1);
    CHECK_THAT(file.notes[0], ContainsSubstring("column 1"));
  }
  CHECK_THAT(refusal("a.csv", "sample,step,x\n1,0,0,5\n"), ContainsSubstring("row names of R"));
}

TEST_CASE("A .csv may have semicolons and decimal commas, capitals and dates") {
  const Dataset german = read("a.csv",
                              "\xef\xbb\xbfSample;STEP;x;Label\r\n0;0,5;0,25;up\r\n"
                              "0;1;-1,5e1;up\r\n");
  CHECK(values_of(german, 0) == Values{0.25F, -15});
  CHECK(german.class_names() == Names{"up"});
  const Dataset tabs = read("a.csv", "sample\tstep\tx\n0\t0\t1.5\n");
  CHECK(values_of(tabs, 0) == Values{1.5F});
  const Dataset dates = read("a.csv",
                             "sample,step,x\n0,2024-02-29 23:59:59.5,1\n"
                             "0,2024-03-01T00:00Z,2\n0,2024-03-01T01:30:00+01:00,3\n");
  CHECK(dates.length(0) == 3);
  CHECK_THAT(refusal("a.csv", "sample,step,x\n0,2024-03-01,1\n0,2024-02-29,2\n"),
             ContainsSubstring("increasing steps"));
  CHECK_THAT(refusal("a.csv", "sample,step,x\n0,1.3.2024,1\n"), ContainsSubstring("or a date"));
  CHECK_THAT(refusal("a.csv", "0.5,1.5,a\n"), !ContainsSubstring(".tsv or .txt"));
  CHECK_THAT(refusal("a.csv", "0.5,1.5,1\n"), ContainsSubstring(".tsv or .txt"));
}

TEST_CASE("Text may be in UTF-16 with a mark, but must be UTF-8 otherwise") {
  for (const bool big_endian : {false, true}) {
    const std::u16string text = u"\ufeffsample,step,x,label\n0,0,1,\u00fc\U0001f600\n";
    std::string bytes;
    for (const char16_t unit : text) {
      const char low = static_cast<char>(unit & 0xff);
      const char high = static_cast<char>(unit >> 8);
      bytes += big_endian ? std::string{high, low} : std::string{low, high};
    }
    CHECK(read("a.csv", bytes).class_names() == Names{"\xc3\xbc\xf0\x9f\x98\x80"});
  }
  for (const char* bad : {"\xfc", "\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"}) {
    CHECK_THAT(refusal("a.csv", "sample,step,x,label\n0,0,1,fr" + std::string(bad) + "\n"),
               ContainsSubstring("a.csv:2: the text is not UTF-8"));
  }
}

TEST_CASE("Timesteps without a value at the end are no part of a sequence, in every format") {
  const Dataset sets[] = {
      read("a.tsv", "a\t1\t2\tNaN\t?\nb\t3\t\t\t\n"),
      read("a.ts", ts("@equalLength true\n@seriesLength 4\n@classLabel true a b",
                      "1,2,?,NaN:a\n3,?,?,?:b\n")),
      read("a.csv", "sample,step,x,label\n0,0,1,a\n0,1,2,a\n0,2,NA,a\n1,0,3,b\n1,1,,b\n"),
      read("a.arff",
           "@relation r\n@attribute a numeric\n@attribute b numeric\n"
           "@attribute c real\n@attribute l {a,b}\n@data\n1,2,?,a\n3,?,?,b\n"),
  };
  for (const Dataset& data : sets) {
    CHECK(values_of(data, 0) == Values{1, 2});
    CHECK(values_of(data, 1) == Values{3});
    CHECK(data.labels() == Labels{0, 1});
  }
  // Of several channels all must be missing.
  const Dataset two = read("a.ts", ts("@classLabel true a", "1,2,?:3,4,?:a\n"));
  CHECK(two.length(0) == 2);
  CHECK_THAT(refusal("a.ts", ts("@classLabel true a", "1,2,?:3,4,5:a\n")),
             ContainsSubstring("dimension 1, step 3 is missing"));
  const TemporaryDirectory directory;
  const auto path = directory.write("gap.tsv", "a\t1\tNaN\t2\n");
  const Dataset gap = read_dataset(path, {.allow_missing = true});
  CHECK(gap.length(0) == 3);
  CHECK(std::isnan(gap.sequence(0)[1]));
}

TEST_CASE("Labels that are the same number are one class") {
  const Dataset data = read("a.tsv", "1\t0\n1.0\t0\n 1.0000000e+00\t0\n2\t0\n");
  CHECK(data.class_names() == Names{"1", "2"});
  CHECK(data.labels() == Labels{0, 0, 0, 1});
  const Dataset other = read("b.tsv", "2.0\t0\n1.000\t0\n").with_classes(data.class_names());
  CHECK(other.labels() == Labels{1, 0});
  const Dataset declared = read("a.ts", ts("@classLabel true 1.0 2.0", "1:2\n2:1\n"));
  CHECK(declared.labels() == Labels{1, 0});
  // As numpy.savetxt writes them.
  CHECK(read("a.tsv", "1.000000000000000000e+00\t0\n1\t0\n").classes() == 1);
  CHECK(read("a.csv", "sample,step,x,label\n0,0,1,1\n0,1,1,1.0\n").classes() == 1);
  // Long numbers are names.
  CHECK(read("a.tsv", "12345678901234567891\t0\n12345678901234567892\t0\n").classes() == 2);
}

TEST_CASE("Files of the archive are separated by blanks, or have odd headers") {
  const Dataset blanks = read("a.txt", "   1.0000000e+00  3.5e-02   5.6e-01\n  2.0e+00 -1  4\n");
  CHECK(values_of(blanks, 0) == Values{3.5e-2F, 0.56F});
  CHECK(blanks.classes() == 2);
  CHECK(read("a.txt", "1;2;3\n").length(0) == 2);
  for (const char* length : {"-1", "0"}) {
    const std::string header = "% a comment\n@equalLength false\n@seriesLength ";
    CHECK(read("a.ts", ts(header + length + "\n@classLabel true a", "1,2:a\n3:a\n")).size() == 2);
  }
}

TEST_CASE("An .arff holds a row for each sequence, of several channels a relation") {
  const std::string head = "% about\n@RELATION 'x y'\n";
  const Dataset one = read("a.arff", head +
                                         "@attribute a numeric\n@ATTRIBUTE b REAL\n"
                                         "@attribute target {2, 'b c'}\n@DATA\n1,2,2\n3,4,'b c'\n");
  CHECK(one.class_names() == Names{"2", "b c"});
  CHECK(one.labels() == Labels{0, 1});
  CHECK(values_of(one, 1) == Values{3, 4});
  const std::string relation = head +
                               "@attribute all relational\n @attribute a numeric\n"
                               " @attribute b numeric\n@end all\n";
  const Dataset two = read("a.arff", relation +
                                         "@attribute y {u,v}\n@data\n"
                                         "\"1,2\\n3,4\",v\n'5,6\\n7,8\\n',u\n");
  CHECK(two.channels() == 2);
  CHECK(values_of(two, 0) == Values{1, 3, 2, 4});
  CHECK(two.labels() == Labels{1, 0});
  const Dataset number =
      read("a.arff", relation + "@attribute y numeric\n@data\n'1,2\\n3,4',0.5\n");
  REQUIRE(number.target_kind() == TargetKind::values);
  CHECK(number.targets(0)[0] == 0.5F);
  CHECK(read("a.arff", head + "@attribute a numeric\n@data\n1\n").classes() == 0);
  const auto refused = [&](const std::string& text) { return refusal("a.arff", head + text); };
  CHECK_THAT(refused("@attribute d date\n@data\n"), ContainsSubstring("is of type 'date'"));
  CHECK_THAT(refused("@attribute d {a,b,a}\n@data\n"), ContainsSubstring("declared twice"));
  CHECK_THAT(refused("@attribute a numeric\n@data\n1,2\n"),
             ContainsSubstring("2 values, expected 1"));
  CHECK_THAT(refused("@attribute a numeric\n@data\n{0 1}\n"), ContainsSubstring("sparse"));
  CHECK_THAT(refused("@attribute a numeric\n@attribute y {u}\n@data\n1,w\n"),
             ContainsSubstring("a.arff:6: label 'w'"));
  CHECK_THAT(refusal("a.arff", relation + "@attribute y {u}\n@data\n1,2,u\n"),
             ContainsSubstring("text in quotes"));
  CHECK_THAT(refused("@attribute a numeric\n"), ContainsSubstring("no @data line"));
  CHECK_THAT(refused("@attribute class {1,2}\n@attribute a numeric\n@data\n1,2\n"),
             ContainsSubstring("a.arff:4: the attribute before is a class"));
  CHECK_THAT(refusal("a.arff", relation + "@attribute y {u}\n@data\n'',u\n"),
             ContainsSubstring("the row has no values"));
  CHECK_THAT(refusal("a.arff", relation + "@attribute y {u}\n@data\n'1,u\n"),
             ContainsSubstring("has no end"));
  const Dataset odd = read("a.arff", head +
                                         "@attribute a numeric [0,1]\n@attribute y "
                                         "{'a,b','it\\'s'}\n@data\n1\t'a,b'\n2,'it\\'s' % so\n");
  CHECK(odd.class_names() == Names{"a,b", "it's"});
  CHECK(odd.labels() == Labels{0, 1});
}

TEST_CASE("No line of text takes much more memory than its size", "[optional]") {
  const auto text_of = [](std::size_t count, const std::string& part) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += part;
    return text;
  };
  constexpr std::size_t kCount = 200000;
  const std::pair<std::string, std::string> files[] = {
      // As many dimensions as values.
      {"a.ts", ts("@classLabel true", "0" + text_of(kCount, ",0") + text_of(kCount, ":0") + "\n")},
      {"b.ts", ts("@classLabel true", text_of(kCount, ":") + "\n")},
      {"a.tsv", "a" + text_of(kCount, "\t1") + "\n"},
      {"a.txt", "a" + text_of(kCount, " 1") + "\n"},
      {"a.csv", "sample,step,x" + text_of(kCount, ",") + "\n0,0,1" + text_of(kCount, ",") + "\n"},
      {"a.arff",
       "@relation r\n@attribute x relational\n@end x\n@data\n'" + text_of(kCount, "1\\n") + "'\n"},
  };
  const TemporaryDirectory directory;
  for (const auto& [name, content] : files) {
    const auto path = directory.write(name, content);
    const auto before = allocated_bytes();
    static_cast<void>(refusal_of([&] { return read_data_file(path); }));
    if (!before) LOCKSTEP_SKIP("a sanitizer counts the allocations");
    CAPTURE(name);
    CHECK(*allocated_bytes() - *before < 100 * content.size());
  }
}

TEST_CASE("Many columns without a name are one note") {
  const TemporaryDirectory directory;
  const DataFile file = read_data_file(directory.write("a.csv", "sample,step,x,,,\n0,0,1,,,\n"));
  CHECK(file.notes == std::vector<std::string>{"3 columns without a name are left out"});
}

TEST_CASE("Where targets are ignored they may be anything") {
  const ReadOptions options{.ignores_targets = true};
  const TemporaryDirectory directory;
  const std::pair<std::string, std::string> files[] = {
      {"a.csv", "sample,step,x,target,label,sample_weight\n0,0,1,foo,a,-5\n0,1,2,bar,b,x\n"},
      {"a.ts", ts("@classLabel true a", "1,2:b\n")},
      {"b.ts", ts("@targetLabel true", "1,2:b\n")},
      {"a.arff",
       "@relation r\n@attribute x numeric\n@attribute z numeric\n"
       "@attribute y {a}\n@data\n1,2,b\n"},
      {"a.tsv", "?\t1\t2\n"},
  };
  for (const auto& [name, content] : files) {
    const Dataset data = read_dataset(directory.write(name, content), options);
    CAPTURE(name);
    CHECK(values_of(data, 0) == Values{1, 2});
    CHECK(data.channels() == 1);
  }
  if (!can_read_npz()) return;
  CHECK(read_dataset(npz("bad_y_shape"), options).size() == 4);
  CHECK(read_dataset(npz("bad_object_y"), options).size() == 4);
  CHECK(read_dataset(npz("bad_weight"), options).size() == 4);
}

TEST_CASE("Targets of a sample are those of its last timestep that has a value") {
  const Dataset data = read("a.csv", "sample,step,x,target\n0,0,1,5\n0,1,2,5\n0,2,,9\n1,0,1,7\n");
  REQUIRE(data.target_kind() == TargetKind::values);
  CHECK(data.targets(0)[0] == 5);
  CHECK(data.targets(1)[0] == 7);
  const TemporaryDirectory directory;
  const auto path = directory.write("a.csv", "sample,step,x,target\n0,0,1,5\n0,1,,\n");
  CHECK(read_data_file(path).notes.size() == 1);
}

TEST_CASE("Dates that there are not are refused, and lines may end with carriage returns") {
  for (const char* date : {"2023-02-29", "2023-13-01", "2023-04-31", "2023-01-00",
                           "2023-01-01 25:00:00", "2023-01-01 10:60"}) {
    CHECK_THAT(refusal("a.csv", "sample,step,x\n0," + std::string(date) + ",1\n"),
               ContainsSubstring("or a date"));
  }
  CHECK(read("a.csv", "sample,step,x\n0,2000-02-29,1\n").size() == 1);
  CHECK(read("a.csv", "sample,step,x\r0,0,1\r0,1,2\r").length(0) == 2);
}

TEST_CASE("A .csv keeps the names of its channels and samples") {
  const Dataset data = read("a.csv", "sample,step,x,y\nb7,0,1,2\nb7,1,3,4\na1,0,5,6\n");
  CHECK(data.channel_names() == Names{"x", "y"});
  CHECK(data.id(0) == "b7");
  CHECK(data.id(1) == "a1");
  const Dataset turned = data.with_channels({"y", "x"});
  CHECK(values_of(turned, 0) == Values{2, 1, 4, 3});
  CHECK(turned.id(1) == "a1");
  CHECK_THROWS_WITH(data.with_channels({"y", "z"}),
                    ContainsSubstring("the channels are x, y, expected y, z"));
}

TEST_CASE("A text file may be compressed") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const fs::path path = fs::path(LOCKSTEP_TEST_DATA_DIR) / "two_rows.csv.gz";
  CHECK(read_dataset(path).size() == 2);
  const std::string bytes = content_of(path);
  CHECK(read("renamed.csv", bytes).size() == 2);
  CHECK_THAT(refusal("a.csv.gz", bytes.substr(0, bytes.size() - 9)),
             ContainsSubstring("damaged or cut short"));
  CHECK(read("a.csv.gz", bytes + std::string(512, '\0')).size() == 2);
  CHECK_THAT(refusal("a.csv.gz", bytes + bytes), ContainsSubstring("the step is 'step'"));
  CHECK_THAT(refusal("a.csv.gz", bytes + "x"), ContainsSubstring("damaged or cut short"));
  CHECK_THAT(refusal("a.gz", bytes), ContainsSubstring("unknown extension ''"));
}

TEST_CASE("Standard input needs a format") {
  CHECK_THAT(refusal_of([] { return read_dataset("-"); }), ContainsSubstring("--format"));
  CHECK_THAT(refusal_of([] { return read_dataset("-", {.format = "npz"}); }),
             ContainsSubstring("from a file"));
  const TemporaryDirectory directory;
  const auto path = directory.write("a.data", "a\t1\n");
  CHECK(read_dataset(path, {.format = "tsv"}).size() == 1);
}

TEST_CASE("Arrays of a .npz are found by their names, types and shapes") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  for (const char* name : {"integer_x", "half_x", "column_y", "bool_y", "labels"}) {
    CAPTURE(name);
    const Dataset data = read_dataset(npz(name));
    CHECK(data.size() == 4);
    CHECK(data.classes() == 2);
    CHECK(values_of(data, 1) == Values{100, 101, 110, 111, 120, 121});
  }
  const DataFile one_hot = read_data_file(npz("one_hot_y"));
  CHECK(one_hot.data.labels() == Labels{0, 1, 0, 1});
  CHECK(one_hot.notes.size() == 1);
  CHECK(read_dataset(npz("large_integers"), {.targets = TargetKind::values}).targets(0)[0] ==
        0x1p63f);
  CHECK(read_dataset(npz("large_integers")).sequence(0)[0] == 0x1p63f);
  CHECK(read_dataset(npz("one_hot_y"), {.targets = TargetKind::values}).targets(1)[1] == 1);
  CHECK(read_dataset(npz("bad_two_x"), {.x = "x_test", .y = "y_test"}).size() == 4);
  CHECK_THAT(refusal_of([] { return read_dataset(npz("labels"), {.x = "Z"}); }),
             ContainsSubstring("no array 'Z', but X, labels"));
  const Dataset turned = read_dataset(npz("labels"), {.axes = Axes::NCT});
  CHECK(turned.channels() == 3);
  CHECK(values_of(turned, 0) == Values{0, 10, 20, 1, 11, 21});
  CHECK(read_dataset(npz("padded")).length(2) == 1);
  CHECK(read_dataset(npz("padded")).length(3) == 3);
}

TEST_CASE("Long and unprintable text is cut short in messages") {
  const std::string message = refusal("a.tsv", "1\t" + std::string(1000, '\x1b') + "\n");
  CHECK(message.size() < 200);
  CHECK(message.find('\x1b') == std::string::npos);
}

// ---- .npz: the files and what they hold are explained in data/make_npz.py

TEST_CASE("A .npz has targets of other kinds by the shape of y") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const Dataset two = read_dataset(npz("two_numbers_fortran"));
  REQUIRE(two.target_kind() == TargetKind::values);
  CHECK(two.class_names() == Names{"y0", "y1"});
  CHECK(two.targets(1)[0] == 0.5f);
  CHECK(two.targets(1)[1] == 0.75f);
  CHECK(std::isnan(two.targets(2)[1]));
  const Dataset one = read_dataset(npz("one_number_column"));
  REQUIRE(one.target_kind() == TargetKind::values);
  CHECK(one.targets(3)[0] == 1.5f);
  const Dataset labels = read_dataset(npz("step_labels"));
  REQUIRE(labels.target_kind() == TargetKind::step_labels);
  CHECK(std::ranges::equal(labels.step_labels(1), Labels{1, 1}));
  CHECK(std::ranges::equal(labels.step_labels(2), Labels{0, 0, 1}));
  const Dataset steps = read_dataset(npz("step_numbers_fortran"));
  REQUIRE(steps.target_kind() == TargetKind::step_values);
  CHECK(std::ranges::equal(steps.targets(1), std::vector<float>{6, 7, 8, 9, 10, 11}));
}

TEST_CASE("A .npz has weights in an array sample_weight") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const Dataset data = read_dataset(npz("weights"));
  CHECK(data.weight(0) == 0.5f);
  CHECK(data.weight(2) == 0);
  CHECK(data.weight(3) == 1);
  const auto message = [](const char* name) {
    return refusal_of([&] { return read_dataset(npz(name)); });
  };
  CHECK_THAT(message("bad_weight"), ContainsSubstring("sample_weight[1] is -2"));
  CHECK_THAT(message("bad_weights"), ContainsSubstring("sample_weight has shape"));
}

TEST_CASE("A .npz is read as the kind that is wanted, or refused") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const Dataset numbers =
      read_dataset(npz("float64_fortran_deflated"), {.targets = TargetKind::values});
  CHECK(numbers.targets(2)[0] == 2.5f);
  const Dataset steps = read_dataset(npz("step_labels"), {.targets = TargetKind::step_values});
  CHECK(std::ranges::equal(steps.targets(0), std::vector<float>{0, 1, 0}));
  CHECK_THROWS_WITH(
      read_dataset(npz("step_numbers_fortran"), {.targets = TargetKind::label}),
      ContainsSubstring("y has shape [4][3][2]") && ContainsSubstring("expected [4]"));
  CHECK_THROWS_WITH(read_dataset(npz("two_dimensions_text"), {.targets = TargetKind::values}),
                    ContainsSubstring("of numbers"));
  CHECK_THROWS_WITH(read_dataset(npz("two_numbers_fortran"), {.targets = TargetKind::step_labels}),
                    ContainsSubstring("expected [4][3]"));
}

TEST_CASE("Sequences can be read without their targets") {
  const TemporaryDirectory directory;
  const auto path = directory.write("a.csv", "sample,step,label,x\n0,0,b,1\n0,1,a,2\n");
  CHECK(read_dataset(path, {.ignores_targets = true}).total_timesteps() == 2);
  const auto unlabelled = directory.write("b.csv", "sample,step,x\n0,0,1\n");
  CHECK(read_dataset(unlabelled, {.ignores_targets = true}).size() == 1);
  CHECK_THROWS_WITH(read_dataset(unlabelled, {.targets = TargetKind::values}),
                    ContainsSubstring("no column 'target...'"));
}

TEST_CASE("Arrays of a .npz become sequences, whatever their type and order") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const auto [name, class_names, labels] = GENERATE(table<std::string, Names, Labels>({
      {"float32_integers", {"-2", "7", "10"}, {1, 2, 1, 0}},
      {"float64_fortran_deflated", {"0", "1", "2.5"}, {1, 0, 2, 1}},
      {"versions_2_and_3", {"0", "1", "255"}, {0, 2, 0, 1}},
      {"unlabelled", {}, {kNoLabel, kNoLabel, kNoLabel, kNoLabel}},
      {"zip64", {"0", "1", "2", "3"}, {0, 1, 2, 3}},
      {"zip64_deflated", {"0", "1", "2", "3"}, {0, 1, 2, 3}},
  }));
  INFO(name);
  const Dataset data = read_dataset(npz(name));
  CHECK(data.channels() == 2);
  CHECK(data.class_names() == class_names);
  CHECK(data.labels() == labels);
  CHECK(values_of(data, 0) == Values{0, 1, 10, 11, 20, 21});
  CHECK(values_of(data, 3) == Values{300, 301, 310, 311, 320, 321});
}

TEST_CASE("A .npz may have one channel, and labels of text") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const Dataset data = read_dataset(npz("two_dimensions_text"));
  CHECK(data.channels() == 1);
  CHECK(data.class_names() == Names{"a\xc3\xa9", "b", "\xe6\x97\xa5\xe6\x9c\xac"});
  CHECK(data.labels() == Labels{1, 0, 1, 2});
  CHECK(values_of(data, 2) == Values{200, 210, 220});
}

TEST_CASE("lengths in a .npz cut off the padding") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const Dataset data = read_dataset(npz("lengths_bytes"));
  CHECK(data.class_names() == Names{"off", "on"});
  CHECK(values_of(data, 0) == Values{0, 1, 10, 11});
  CHECK(data.length(1) == 3);
  CHECK(values_of(data, 3) == Values{300, 301});
}

TEST_CASE("Bad .npz files are refused in one sentence") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const auto [name, part] = GENERATE(table<std::string, std::string>({
      {"bad_big_endian", "entry 'X.npy': the type '>f4' is not supported"},
      {"bad_text_x", "X has type '<U1', expected numbers"},
      {"bad_object_y", "entry 'y.npy': an object array, which only Python can read"},
      {"bad_y_shape", "y has shape [5] and type '<i8', expected [4]"},
      {"bad_length", "lengths[3] is 4, expected 1 to 3"},
      {"bad_one_dimension", "X has shape [4], expected [N][T][D] or [N][T]"},
      {"bad_text_y", "is not Unicode"},
      {"bad_surrogate_y", "is not Unicode"},
      {"bad_no_x", "the archive has no array X; it has a, y, of which --x NAME and --y NAME"},
      {"bad_two_x", "which array is X: x_test, x_train? --x NAME chooses one"},
      {"bad_nan", "X[2], step 1, channel 0 is missing"},
      {"bad_huge_shape", "holds 0 bytes of data, expected 4000000000000000"},
      {"bad_overflow", "larger than any memory"},
      {"bad_truncated", "holds 92 bytes of data, expected 96"},
      {"bad_header_length", "it ends within its .npy header"},
      {"bad_no_array", "this is not a .npy array"},
      {"bad_bzip2", "compression method 12"},
      {"bad_checksum", "damaged"},
      {"bad_claimed_size", "more than the file can hold"},
      {"bad_encrypted", "entry 'X.npy' is encrypted"},
      {"bad_offset", "entry 'X.npy' is not where"},
  }));
  CHECK_THAT(refusal_of([&, file = name] { return read_dataset(npz(file)); }),
             ContainsSubstring(part));
}

TEST_CASE("A .npz cut anywhere is refused") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const std::string whole =
      content_of(npz(GENERATE("float64_fortran_deflated", "zip64", "zip64_deflated")));
  for (std::size_t size = 1; size < whole.size(); size += 7) {
    CHECK_FALSE(refusal("cut.npz", whole.substr(0, size)).empty());
  }
}

TEST_CASE("A .npz with any byte changed is refused or holds the same values") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  const std::string whole = content_of(npz(GENERATE("float64_fortran_deflated", "zip64_deflated")));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x11);
    Values last;
    const std::string message = refusal_of([&] {
      last = values_of(read("changed.npz", changed), 3);
      return 0;
    });
    if (message.empty()) CHECK(last == Values{300, 301, 310, 311, 320, 321});
  }
}

// The packed data is never read, so zeros will do.
TEST_CASE("A .npz that would expand beyond all measure is refused with the limit") {
  if (!can_read_npz()) LOCKSTEP_SKIP("built without zlib");
  std::string bomb = content_of(npz("bad_bzip2"));
  const std::size_t directory = bomb.find("PK\1\2");
  bomb[directory + 10] = 8;                                       // deflated
  bomb.replace(directory + 20, 4, std::string("\0\0\x30\0", 4));  // 3 MiB
  bomb.replace(directory + 24, 4, std::string("\0\0\0\x80", 4));  // that expand to 2 GiB
  CHECK_THAT(refusal("bomb.npz", bomb), ContainsSubstring("more than the file can hold"));
  const std::size_t end = bomb.find("PK\5\6");
  const std::size_t moved = directory + (3U << 20U);
  bomb.replace(end + 16, 4,
               {static_cast<char>(moved), static_cast<char>(moved >> 8U),
                static_cast<char>(moved >> 16U), static_cast<char>(moved >> 24U)});
  bomb.insert(directory, std::string(3U << 20U, '\0'));
  CHECK_THAT(refusal("bomb.npz", bomb),
             ContainsSubstring("unpacks to more than 198199552 bytes; LOCKSTEP_MAX_UNPACKED"));
}

// ---- real sets, where they are at hand

fs::path shared_file(const std::string& name) {
  const char* const folder = std::getenv("LOCKSTEP_SHARED_DIR");
  return fs::path(folder != nullptr ? folder : LOCKSTEP_SHARED_DIR) / "data" / name;
}

TEST_CASE("ItalyPowerDemand is read", "[optional]") {
  const auto path = shared_file("ItalyPowerDemand_TRAIN.ts");
  if (!fs::exists(path)) LOCKSTEP_SKIP(path << " is not there");
  const Dataset data = read_dataset(path);
  CHECK(data.size() == 67);
  CHECK(data.channels() == 1);
  CHECK(data.class_names() == Names{"1", "2"});
  CHECK(data.total_timesteps() == 67 * 24);
  CHECK(data.sequence(0)[0] == -0.71051757F);
}

TEST_CASE("BasicMotions is read", "[optional]") {
  const auto path = shared_file("BasicMotions_TRAIN.ts");
  if (!fs::exists(path)) LOCKSTEP_SKIP(path << " is not there");
  const Dataset data = read_dataset(path);
  CHECK(data.size() == 40);
  CHECK(data.channels() == 6);
  CHECK(data.class_names() == Names{"Standing", "Running", "Walking", "Badminton"});
  CHECK(data.total_timesteps() == 4000);
  CHECK(data.sequence(0)[0] == 0.079106F);
}

TEST_CASE("JapaneseVowels is read", "[optional]") {
  const auto train = shared_file("JapaneseVowels_TRAIN.ts");
  const auto test = shared_file("JapaneseVowels_TEST.ts");
  if (!fs::exists(train) || !fs::exists(test)) LOCKSTEP_SKIP(train << " is not there");
  const Dataset data = read_dataset(train);
  CHECK(data.size() == 270);
  CHECK(data.channels() == 12);
  CHECK(data.classes() == 9);
  CHECK(data.length(0) == 20);
  CHECK(data.sequence(0)[0] == 1.860936F);
  CHECK(data.sequence(0)[1] == -0.207383F);
  CHECK(read_dataset(test).max_length() == 29);
  CHECK(read_dataset(test).size() == 370);
}

}  // namespace
}  // namespace lockstep
