package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

type validator struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	// Compiling the rules of a CRD takes longer than checking objects by them.
	rules func() *cel.Validator
}

var (
	validators = map[string]*validator{}
	reading    sync.Mutex
)

// customResource takes the path of a CRD and an object of it. What the API server does with an object before it is
// stored is in k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go.
func customResource(input json.RawMessage) ([]refusal, error) {
	var in struct {
		CRD    string                    `json:"crd"`
		Object unstructured.Unstructured `json:"object"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	kind := in.Object.GroupVersionKind()
	of, err := validatorOf(in.CRD, kind.Version)
	if err != nil {
		return nil, err
	}
	if of == nil {
		return said(fmt.Errorf("no matches for kind %q in version %q", kind.Kind, kind.GroupVersion())), nil
	}
	content := in.Object.UnstructuredContent()
	var found []refusal
	unknown := pruning.PruneWithOptions(content, of.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		found = append(found, refusal{Message: fmt.Sprintf("unknown field %q", path)})
	}
	defaulting.Default(content, of.structural)
	errs := validation.ValidateCustomResource(nil, content, of.schema)
	errs = append(errs, objectmeta.Validate(nil, content, of.structural, false)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, of.structural, content)...)
	if rules := of.rules(); rules != nil && !blocking(errs) {
		more, _ := rules.Validate(context.Background(), nil, of.structural, content, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	for _, err := range errs {
		found = append(found, refusal{Message: line(err)})
	}
	return found, nil
}

// blocking says whether errors keep the API server from evaluating rules, as it would on wrong types.
func blocking(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

// validatorOf returns what validates objects of a version of a CRD, and nil if there is no such version.
func validatorOf(path, version string) (*validator, error) {
	reading.Lock()
	defer reading.Unlock()
	key := path + " " + version
	if found, ok := validators[key]; ok {
		return found, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := json.Unmarshal(text, &crd); err != nil {
		return nil, err
	}
	for _, one := range crd.Spec.Versions {
		if one.Name != version || one.Schema == nil {
			continue
		}
		props := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(one.Schema.OpenAPIV3Schema, props, nil); err != nil {
			return nil, err
		}
		structural, err := schema.NewStructural(props)
		if err != nil {
			return nil, err
		}
		checked, _, err := validation.NewSchemaValidator(props)
		if err != nil {
			return nil, err
		}
		rules := sync.OnceValue(func() *cel.Validator { return cel.NewValidator(structural, true, celconfig.PerCallLimit) })
		validators[key] = &validator{structural, checked, rules}
		return validators[key], nil
	}
	return nil, nil
}
