// Command cost evaluates one admission policy with the API server's own code, and prints what its expressions cost.
// Read from standard input, a JSON object: policy, params (null: none), object (null: deleted), oldObject (null: new), and
// since, the Kubernetes version whose expressions are to be had: what came later does not compile. Nothing is admitted or changed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	limits "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
)

type question struct {
	Policy    json.RawMessage        `json:"policy"`
	Params    map[string]interface{} `json:"params"`
	Object    map[string]interface{} `json:"object"`
	OldObject map[string]interface{} `json:"oldObject"`
	Since     string                 `json:"since"`
}

// answer has costs in the API server's units, each with its limit. Dearest is the highest of a single expression, with
// the variables that it reads.
type answer struct {
	Policy           string   `json:"policy"`
	Conditions       int64    `json:"conditions"`
	ConditionsLimit  int64    `json:"conditionsLimit"`
	Expressions      int64    `json:"expressions"`
	ExpressionsLimit int64    `json:"expressionsLimit"`
	Dearest          int64    `json:"dearest"`
	DearestLimit     int64    `json:"dearestLimit"`
	Failed           []string `json:"failed"`
}

// spec is what both kinds of policy have in common, and the validations or mutations of one of them.
type spec struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		ParamKind       *admissionregistration.ParamKind       `json:"paramKind"`
		MatchConditions []admissionregistration.MatchCondition `json:"matchConditions"`
		Variables       []admissionregistration.Variable       `json:"variables"`
		Validations     []admissionregistration.Validation     `json:"validations"`
		Mutations       []admissionregistration.Mutation       `json:"mutations"`
	} `json:"spec"`
}

// bench evaluates expressions on one request.
type bench struct {
	compiler   *cel.CompositedCompiler
	declared   cel.OptionalVariableDeclarations
	bound      cel.OptionalVariableBindings
	attributes *admission.VersionedAttributes
}

// protected is the namespace of every request.
var protected = &core.Namespace{ObjectMeta: metav1.ObjectMeta{
	Name: "dev", Labels: map[string]string{"volume-guard/protected": "true"},
}}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var asked question
	if err := json.NewDecoder(in).Decode(&asked); err != nil {
		return fmt.Errorf("question: %w", err)
	}
	var policy spec
	if err := json.Unmarshal(asked.Policy, &policy); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	b, err := newBench(policy, asked)
	if err != nil {
		return err
	}
	said, err := b.evaluate(policy)
	if err != nil {
		return fmt.Errorf("%s: %w", policy.Metadata.Name, err)
	}
	return json.NewEncoder(out).Encode(said)
}

func newBench(policy spec, asked question) (*bench, error) {
	since, err := version.ParseMajorMinor(asked.Since)
	if err != nil {
		return nil, fmt.Errorf("since: %w", err)
	}
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(since))
	if err != nil {
		return nil, err
	}
	b := &bench{compiler: compiler, attributes: attributes(asked)}
	b.declared.HasParams = policy.Spec.ParamKind != nil
	if b.declared.HasParams && asked.Params != nil {
		b.bound.VersionedParams = &unstructured.Unstructured{Object: asked.Params}
	}
	for _, one := range policy.Spec.Variables {
		variable := &validating.Variable{Name: one.Name, Expression: one.Expression}
		if wrong := compiler.CompileAndStoreVariable(variable, b.declared, environment.NewExpressions).Error; wrong != nil {
			return nil, fmt.Errorf("variable %s: %w", one.Name, wrong)
		}
	}
	return b, nil
}

func attributes(asked question) *admission.VersionedAttributes {
	var object, old runtime.Object
	operation, known := admission.Delete, &unstructured.Unstructured{Object: asked.OldObject}
	if asked.OldObject != nil {
		old = known
	}
	if asked.Object != nil {
		operation, known = admission.Update, &unstructured.Unstructured{Object: asked.Object}
		object = known
	}
	if asked.OldObject == nil {
		operation = admission.Create
	}
	kind := known.GroupVersionKind()
	resource := schema.GroupVersionResource{
		Group: kind.Group, Version: kind.Version, Resource: strings.ToLower(kind.Kind) + "s",
	}
	who := &user.DefaultInfo{Name: "someone"}
	plain := admission.NewAttributesRecord(
		object, old, kind, known.GetNamespace(), known.GetName(), resource, "", operation, nil, false, who)
	return &admission.VersionedAttributes{
		Attributes:         plain,
		VersionedKind:      kind,
		VersionedObject:    admission.NewLazyObject(object),
		VersionedOldObject: admission.NewLazyObject(old),
	}
}

func (b *bench) evaluate(policy spec) (*answer, error) {
	said := &answer{
		Policy:           policy.Metadata.Name,
		ConditionsLimit:  limits.RuntimeCELCostBudgetMatchConditions,
		ExpressionsLimit: limits.RuntimeCELCostBudget,
		DearestLimit:     limits.PerCallLimit,
		Failed:           []string{},
	}
	var conditions, validations, messages []cel.ExpressionAccessor
	for i := range policy.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i]))
	}
	for _, one := range policy.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: one.Expression})
		if one.MessageExpression != "" {
			messages = append(messages, &validating.MessageExpressionCondition{MessageExpression: one.MessageExpression})
		}
	}
	var err error
	if said.Conditions, err = b.conditions(conditions, nil); err != nil {
		return nil, err
	}
	if said.Expressions, err = b.conditions(validations, &said.Failed); err != nil {
		return nil, err
	}
	// The API server evaluates the messages of what has passed as well, out of the same budget.
	extra, err := b.conditions(messages, nil)
	if err != nil {
		return nil, err
	}
	said.Expressions += extra
	for _, one := range append(append(conditions, validations...), messages...) {
		alone, err := b.conditions([]cel.ExpressionAccessor{one}, nil)
		if err != nil {
			return nil, err
		}
		said.Dearest = max(said.Dearest, alone)
	}
	for _, one := range policy.Spec.Mutations {
		spent, err := b.mutation(one.JSONPatch.Expression)
		if err != nil {
			return nil, err
		}
		said.Expressions += spent
		said.Dearest = max(said.Dearest, spent)
	}
	return said, nil
}

// conditions gives the cost of all of them, as the API server counts it: a variable is paid once.
func (b *bench) conditions(expressions []cel.ExpressionAccessor, failed *[]string) (int64, error) {
	compiled := b.compiler.CompileCondition(expressions, b.declared, environment.NewExpressions)
	if wrong := compiled.CompilationErrors(); len(wrong) > 0 {
		return 0, errors.Join(wrong...)
	}
	request := cel.CreateAdmissionRequest(
		b.attributes.Attributes, metav1.GroupVersionResource(b.attributes.GetResource()),
		metav1.GroupVersionKind(b.attributes.VersionedKind))
	results, left, err := compiled.ForInput(
		context.Background(), b.attributes, request, b.bound, protected, limits.RuntimeCELCostBudget)
	if err != nil {
		return 0, err
	}
	for _, result := range results {
		if result.Error != nil {
			return 0, fmt.Errorf("%s: %w", result.ExpressionAccessor.GetExpression(), result.Error)
		}
		if failed != nil && result.EvalResult.Value() != true {
			*failed = append(*failed, result.ExpressionAccessor.GetExpression())
		}
	}
	return limits.RuntimeCELCostBudget - left, nil
}

func (b *bench) mutation(expression string) (int64, error) {
	declared := b.declared
	declared.HasPatchTypes = true
	compiled := b.compiler.CompileMutatingEvaluator(
		&patch.JSONPatchCondition{Expression: expression}, declared, environment.NewExpressions)
	if wrong := compiled.CompilationErrors(); len(wrong) > 0 {
		return 0, errors.Join(wrong...)
	}
	request := cel.CreateAdmissionRequest(
		b.attributes.Attributes, metav1.GroupVersionResource(b.attributes.GetResource()),
		metav1.GroupVersionKind(b.attributes.VersionedKind))
	// The policy's variables come with this context; a condition's evaluator makes it by itself.
	result, left, err := compiled.ForInput(
		b.compiler.CreateContext(context.Background()), b.attributes, request, b.bound, protected, limits.RuntimeCELCostBudget)
	if err != nil {
		return 0, err
	}
	return limits.RuntimeCELCostBudget - left, result.Error
}
