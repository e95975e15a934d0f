// Command jmespath says which text an expression finds in documents, by the library that Grafana reads
// role_attribute_path with.
//
//	jmespath < question.json
//
// The question is {"expression": "…", "documents": [{…}, …]}; the answer, {"error": "…"} for what is no expression,
// else {"found": ["Viewer", "", …]}: the text found in each document, and an empty one for anything else, as in
// SearchJSONForStringAttr of Grafana's pkg/util.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/jmespath-community/go-jmespath"
)

type question struct {
	Expression string `json:"expression"`
	Documents  []any  `json:"documents"`
}

type answer struct {
	Error string   `json:"error,omitempty"`
	Found []string `json:"found,omitempty"`
}

func asked(one question) answer {
	expression, err := jmespath.Compile(one.Expression)
	if err != nil {
		return answer{Error: err.Error()}
	}
	found := make([]string, len(one.Documents))
	for index, document := range one.Documents {
		if value, err := expression.Search(document); err == nil {
			found[index], _ = value.(string)
		}
	}
	return answer{Found: found}
}

func main() {
	var one question
	err := json.NewDecoder(os.Stdin).Decode(&one)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(asked(one))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
