"""Reads a file of Molotov scenarios from standard input, and prints what is in it as JSON.

Nothing of the file is run: its syntax tree is walked, and expressions of Python become
expressions of scenario files.
"""
import ast
import json
import sys

METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}
FIXTURES = {"setup", "setup_session", "global_setup", "teardown", "teardown_session", "global_teardown", "events", "scenario_picker"}
BASES = {"SERVER_URL", "OPBEANS_BASE_URL"}
STANDARD = BASES | {"SERVICE_NAME", "OPBEANS_NAME"}
MAX_UNROLLED = 20
MAX_DEPTH = 20


class Cannot(Exception):
    """Why something is not converted."""


class Lit:
    def __init__(self, value):
        self.value = value


class Ex:
    """An expression of a scenario file. kind is str, num or any."""

    def __init__(self, text, kind="any", simple=True, random=False):
        self.text, self.kind, self.simple, self.random = text, kind, simple, random


class Parts:
    """A text with expressions in it."""

    def __init__(self, items):
        self.items = items


class Seq:
    def __init__(self, items):
        self.items = items


class Map:
    def __init__(self, items):
        self.items = items  # of (Value, Value)


class Env(Ex):
    """A variable of the environment."""

    def __init__(self, name, default):
        Ex.__init__(self, name, "str")
        self.name, self.default = name, default


class Reply:
    def __init__(self, step):
        self.step = step


class FromReply:
    """A value of a response. path is that of a JSON value, or None."""

    def __init__(self, step, text, path=None, name=None):
        self.step, self.text, self.path, self.name = step, text, path, name


class Call:
    """A request that is not sent yet: session.get(…) before it is awaited."""

    def __init__(self, step):
        self.step = step


class Form:
    def __init__(self):
        self.fields = []


class Session:
    pass


class Opaque:
    def __init__(self, reason):
        self.reason = reason


class Func:
    def __init__(self, node):
        self.node = node


class Name:
    """Something of a module, by its dotted name."""

    def __init__(self, name):
        self.name = name


def text_of(source):
    return json.dumps(source, ensure_ascii=False)


def number(value):
    return repr(value)


class File:
    def __init__(self, source):
        self.source = source
        self.lines = source.splitlines()
        self.variables = {}
        self.notes = []
        self.tasks = []
        self.setup, self.vu_setup = [], []
        self.headers = []  # of all requests, by a setup fixture
        self.left = 0
        self.names = {}
        self.base = None
        self.shared = {}  # of set_var
        self.steps = None  # of the function that is read
        self.depth = 0
        self.pending = []  # comments without a place yet
        self.fixtures = []

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def segment(self, node):
        text = ast.get_source_segment(self.source, node) or ""
        return text if len(text) < 400 else text[:400] + " ..."

    def leave(self, node, reason):
        """Keeps a statement as a comment at its place."""
        self.left += 1
        comment = ["not converted (%s), line %d:" % (reason, getattr(node, "lineno", 0))]
        comment += ["    " + line for line in self.segment(node).splitlines()]
        if self.steps:
            self.steps[-1]["after"] += comment
        else:
            self.pending += comment

    # Values

    def expr(self, v, step=None):
        """The text of an expression for a value."""
        if isinstance(v, Lit):
            if isinstance(v.value, bool):
                return "true" if v.value else "false"
            if v.value is None:
                return "nil"
            if isinstance(v.value, (int, float)):
                return number(v.value)
            if isinstance(v.value, str):
                return text_of(v.value)
        if isinstance(v, Ex):
            return v.text
        if isinstance(v, Parts):
            out = []
            for item in v.items:
                if isinstance(item, Lit):
                    out.append(text_of(str(item.value)))
                else:
                    one = self.expr(item, step)
                    out.append(one if getattr(item, "kind", "") == "str" else "string(%s)" % one)
            return " + ".join(out)
        if isinstance(v, Seq):
            return "[" + ", ".join(self.expr(x, step) for x in v.items) + "]"
        if isinstance(v, Map):
            return "{" + ", ".join("%s: %s" % (self.key(k), self.expr(x, step)) for k, x in v.items) + "}"
        if isinstance(v, FromReply):
            if v.step is step:
                return v.text
            return self.captured(v)
        raise Cannot(self.why(v))

    def why(self, v):
        if isinstance(v, Opaque):
            return v.reason
        if isinstance(v, (Reply, Call)):
            return "a response is used as a value"
        return "a value that is only known in Python"

    def key(self, k):
        if not isinstance(k, Lit) or not isinstance(k.value, str):
            raise Cannot("the key of a dict is not a text")
        return k.value if k.value.isidentifier() and k.value.isascii() else text_of(k.value)

    def captured(self, v):
        """The name under which a value of an earlier response is captured."""
        for name, text in v.step["capture"]:
            if text == v.text:
                return name
        base = v.name or "value"
        taken = set(self.variables) | {n for s in self.steps or [] for n, _ in s["capture"]}
        name, n = base, 2
        while name in taken or name in RESERVED:
            name, n = "%s_%d" % (base, n), n + 1
        v.step["capture"].append([name, v.text])
        return name

    def template(self, v):
        if isinstance(v, Lit):
            if isinstance(v.value, bytes):
                try:
                    return v.value.decode("utf-8").replace("${", "$${")
                except UnicodeDecodeError:
                    raise Cannot("bytes that are no text")
            return str(v.value).replace("${", "$${")
        if isinstance(v, Parts):
            return "".join(self.template(x) for x in v.items)
        return "${" + self.expr(v) + "}"

    def data(self, v):
        """A value of JSON for the file, in a form that keeps the order of keys."""
        if isinstance(v, Map):
            return {"object": [[self.template(k), self.data(x)] for k, x in v.items]}
        if isinstance(v, Seq):
            return {"list": [self.data(x) for x in v.items]}
        if isinstance(v, Lit) and not isinstance(v.value, str):
            if isinstance(v.value, bytes):
                raise Cannot("bytes are no JSON")
            return {"value": v.value}
        return {"text": self.template(v)}

    def join(self, *values):
        items = []
        for v in values:
            for x in v.items if isinstance(v, Parts) else [v]:
                if isinstance(x, Lit):
                    x = Lit(str(x.value))
                    if items and isinstance(items[-1], Lit):
                        items[-1] = Lit(items[-1].value + x.value)
                        continue
                elif not isinstance(x, (Ex, FromReply)):
                    raise Cannot(self.why(x))
                items.append(x)
        if len(items) == 1 and isinstance(items[0], Lit):
            return items[0]
        return Parts(items)

    def env(self, name, default):
        if not isinstance(name, Lit) or not isinstance(name.value, str) or not name.value.isidentifier():
            raise Cannot("the name of an environment variable is computed")
        value = default.value if isinstance(default, Lit) else None
        if isinstance(default, Env):
            value = default.default
        if name.value not in STANDARD:
            known = self.variables.get(name.value)
            if known is None or known == "":
                self.variables[name.value] = "" if value is None else value
        return Env(name.value, value)

    # Expressions

    def eval(self, node, scope):
        self.depth += 1
        try:
            if self.depth > 200:
                raise Cannot("an expression is nested too deep")
            method = getattr(self, "eval_" + type(node).__name__, None)
            if method is None:
                raise Cannot("%s is not known here" % type(node).__name__)
            return method(node, scope)
        finally:
            self.depth -= 1

    def eval_Constant(self, node, scope):
        return Lit(node.value)

    def eval_Name(self, node, scope):
        for names in (scope, self.names):
            if node.id in names:
                v = names[node.id]
                if isinstance(v, FromReply) and v.name is None:
                    v.name = node.id
                return v
        return Name(node.id)

    def eval_Await(self, node, scope):
        v = self.eval(node.value, scope)
        return Reply(self.send(v.step)) if isinstance(v, Call) else v

    def eval_List(self, node, scope):
        return Seq([self.eval(x, scope) for x in node.elts])

    eval_Tuple = eval_List
    eval_Set = eval_List

    def eval_Dict(self, node, scope):
        items = []
        for k, v in zip(node.keys, node.values):
            value = self.eval(v, scope)
            if k is None:
                if not isinstance(value, Map):
                    raise Cannot("a dict is unpacked that is not written out")
                items += value.items
            else:
                items.append((self.eval(k, scope), value))
        return Map(items)

    def eval_JoinedStr(self, node, scope):
        items = []
        for x in node.values:
            if isinstance(x, ast.FormattedValue):
                if x.format_spec is not None:
                    raise Cannot("a format such as :02d")
                items.append(self.eval(x.value, scope))
            else:
                items.append(self.eval(x, scope))
        return self.join(Lit(""), *items)

    def eval_BinOp(self, node, scope):
        left, right = self.eval(node.left, scope), self.eval(node.right, scope)
        op = type(node.op).__name__
        if op == "Add" and (self.is_text(left) or self.is_text(right)):
            return self.join(left, right)
        if op == "Add" and isinstance(left, Seq) and isinstance(right, Seq):
            return Seq(left.items + right.items)
        if op == "Mod" and isinstance(left, Lit) and isinstance(left.value, str):
            return self.percent(left.value, right)
        if isinstance(left, Lit) and isinstance(right, Lit):
            try:
                return Lit({"Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mult": lambda a, b: a * b, "Div": lambda a, b: a / b,
                            "FloorDiv": lambda a, b: a // b, "Mod": lambda a, b: a % b}[op](left.value, right.value))
            except Exception:
                raise Cannot("a computation that fails")
        sign = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Mod": "%"}.get(op)
        if sign is None:
            raise Cannot("the operator %s" % op)
        return Ex("%s %s %s" % (self.operand(left), sign, self.operand(right)), "num", False, self.draws(left) or self.draws(right))

    def draws(self, v):
        if isinstance(v, Ex):
            return v.random
        if isinstance(v, (Parts, Seq)):
            return any(self.draws(x) for x in v.items)
        if isinstance(v, Map):
            return any(self.draws(x) for _, x in v.items)
        return False

    def operand(self, v, step=None):
        text = self.expr(v, step)
        if isinstance(v, Parts) and len(v.items) > 1 or isinstance(v, Ex) and not v.simple:
            return "(" + text + ")"
        return text

    def is_text(self, v):
        return isinstance(v, Parts) or isinstance(v, Lit) and isinstance(v.value, str) or isinstance(v, Ex) and v.kind == "str"

    def percent(self, form, right):
        if isinstance(right, Map):
            raise Cannot("a format with names")
        values = list(right.items) if isinstance(right, Seq) else [right]
        items, rest = [], form
        while "%" in rest:
            before, _, rest = rest.partition("%")
            items.append(Lit(before))
            if rest[:1] == "%":
                items.append(Lit("%"))
            elif rest[:1] in ("s", "d", "i") and values:
                items.append(values.pop(0))
            else:
                raise Cannot("a format such as %" + rest[:3])
            rest = rest[1:]
        return self.join(Lit(""), *items, Lit(rest))

    def formatted(self, form, args, named):
        items, rest, n = [Lit("")], form, 0
        while rest:
            at = min([i for i in (rest.find("{"), rest.find("}")) if i >= 0], default=-1)
            if at < 0:
                items.append(Lit(rest))
                break
            items.append(Lit(rest[:at]))
            if rest[at:at + 2] in ("{{", "}}"):
                items.append(Lit(rest[at]))
                rest = rest[at + 2:]
                continue
            field, _, rest = rest[at + 1:].partition("}")
            if field == "":
                field, n = str(n), n + 1
            if field.isdigit() and int(field) < len(args):
                items.append(args[int(field)])
            elif field in named:
                items.append(named[field])
            else:
                raise Cannot("a format such as {%s}" % field)
        return self.join(*items)

    def eval_UnaryOp(self, node, scope):
        v = self.eval(node.operand, scope)
        if isinstance(node.op, ast.Not):
            return Ex("not (%s)" % self.condition(v, None), "bool", False)
        if isinstance(node.op, ast.USub):
            if isinstance(v, Lit) and isinstance(v.value, (int, float)):
                return Lit(-v.value)
            return Ex("-%s" % self.operand(v), "num", False, self.draws(v))
        raise Cannot("the operator %s" % type(node.op).__name__)

    def eval_IfExp(self, node, scope):
        return Ex("%s ? %s : %s" % (self.truth(node.test, scope, None), self.operand(self.eval(node.body, scope)), self.operand(self.eval(node.orelse, scope))), "any", False)

    def eval_BoolOp(self, node, scope):
        if isinstance(node.op, ast.Or) and len(node.values) == 2:
            first = self.eval(node.values[0], scope)
            second = self.eval(node.values[1], scope)
            if isinstance(first, Env) and isinstance(second, Lit):
                return self.env(Lit(first.name), second)
        return Ex(self.truth(node, scope, None), "bool", False)

    def eval_Compare(self, node, scope):
        return Ex(self.truth(node, scope, None), "bool", False)

    def eval_Subscript(self, node, scope):
        owner = self.eval(node.value, scope)
        index = node.slice
        if type(index).__name__ == "Index":  # before Python 3.9
            index = index.value
        if isinstance(index, ast.Slice):
            raise Cannot("a slice")
        at = self.eval(index, scope)
        return self.item(owner, at)

    def item(self, owner, at):
        if isinstance(owner, Name) and owner.name == "os.environ":
            return self.env(at, Lit(""))
        if isinstance(owner, Map) and isinstance(at, Lit):
            for k, v in owner.items:
                if isinstance(k, Lit) and k.value == at.value:
                    return v
        if isinstance(owner, Seq) and isinstance(at, Lit) and isinstance(at.value, int) and -len(owner.items) <= at.value < len(owner.items):
            return owner.items[at.value]
        if isinstance(owner, FromReply) and isinstance(at, Lit):
            if owner.path is not None and isinstance(at.value, str):
                plain = at.value.isidentifier() and at.value.isascii()
                path = owner.path + ("." + at.value if plain else "[%s]" % text_of(at.value))
                return FromReply(owner.step, "json(%s)" % text_of(path), path, at.value if plain else None)
            if owner.path is not None and isinstance(at.value, int) and at.value >= 0:
                path = "%s[%d]" % (owner.path, at.value)
                return FromReply(owner.step, "json(%s)" % text_of(path), path)
            if owner.text == "headers":
                return FromReply(owner.step, "header(%s)" % text_of(str(at.value)), None, None)
            if owner.text == "cookies":
                return FromReply(owner.step, "cookie(%s)" % text_of(str(at.value)), None, None)
        raise Cannot("an item of something that is only known in Python")

    def eval_Attribute(self, node, scope):
        owner = self.eval(node.value, scope)
        if isinstance(owner, Name):
            dotted = owner.name + "." + node.attr
            return self.names.get("." + dotted, Name(dotted))
        if isinstance(owner, Reply):
            if node.attr in ("status", "status_code"):
                return FromReply(owner.step, "status", None, "code")
            if node.attr in ("headers", "cookies"):
                return FromReply(owner.step, node.attr)
            if node.attr == "ok":
                return FromReply(owner.step, "status < 400")
        if isinstance(owner, FromReply) and owner.text.startswith("cookie(") and node.attr == "value":
            return owner
        if isinstance(owner, Session) and "session." + node.attr in self.shared:
            return self.shared["session." + node.attr]
        raise Cannot("the attribute %s of something that is only known in Python" % node.attr)

    def comprehension(self, node, scope):
        if len(node.generators) != 1 or node.generators[0].ifs or not isinstance(node.generators[0].target, ast.Name):
            raise Cannot("a comprehension of this kind")
        g = node.generators[0]
        over = self.eval(g.iter, scope)
        return self.mapped(g.target.id, over, lambda inner: self.eval(node.elt, inner), scope)

    eval_ListComp = comprehension
    eval_GeneratorExp = comprehension

    def mapped(self, name, over, what, scope):
        inner = dict(scope)
        if isinstance(over, Seq):
            out = []
            for x in over.items[:MAX_UNROLLED * 5]:
                inner[name] = x
                out.append(what(inner))
            return Seq(out)
        if isinstance(over, Range):
            inner[name] = Ex("#" if over.low == 1 else "(# + %d)" % (over.low - 1), "num")
            v = what(inner)
            text = self.expr(v)
            if isinstance(v, Map):
                text = "{" + text + "}"
            return Ex("map(1..%s, %s)" % (over.count, text), "any", True, True)
        raise Cannot("a loop over something that is only known in Python")

    def eval_Call(self, node, scope):
        func = node.func
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise Cannot("arguments are unpacked")
        if isinstance(func, ast.Attribute):
            owner = self.eval(func.value, scope)
            if not isinstance(owner, Name):
                return self.method(owner, func.attr, node, scope)
        f = self.eval(func, scope)
        args = [self.eval(a, scope) for a in node.args]
        named = {k.arg: self.eval(k.value, scope) for k in node.keywords}
        if isinstance(f, Func):
            return self.call(f, args, named)
        if isinstance(f, Name):
            return self.known(f.name, args, named)
        raise Cannot("a call of something that is only known in Python")

    def call(self, f, args, named):
        """Reads the body of a helper function at the place of its call."""
        node = f.node
        parameters = [a.arg for a in node.args.args]
        if len(args) > len(parameters) or node.args.vararg or node.args.kwarg:
            raise Cannot("the arguments of %s" % node.name)
        scope = {}
        for name, default in zip(parameters[len(parameters) - len(node.args.defaults):], node.args.defaults):
            scope[name] = self.eval(default, {})
        scope.update(zip(parameters, args))
        scope.update(named)
        if any(p not in scope for p in parameters):
            raise Cannot("the arguments of %s" % node.name)
        self.depth += 10
        try:
            if self.depth > MAX_DEPTH * 10:
                raise Cannot("functions call one another too deep")
            v = self.body(node.body, scope)
            return Lit(None) if v is None else v
        finally:
            self.depth -= 10

    def known(self, name, args, named):
        short = name.split(".")[-1]
        module = name[:-len(short)].rstrip(".").split(".")[-1]
        if name in ("os.environ.get", "os.getenv", "getenv", "environ.get"):
            return self.env(args[0], args[1] if len(args) > 1 else named.get("default", Lit("")))
        if module == "random" or name in ("randint", "choice", "uniform", "randrange"):
            return self.random(short, args)
        if short == "uuid4":
            return Ex("uuid()", "str", True, True)
        if name in ("time.time",):
            return Ex("now().Unix()", "num", True, True)
        if name in ("str", "int", "float", "repr", "json.dumps", "dumps", "len", "range", "list", "tuple", "dict", "min", "max", "round"):
            return self.builtin(name, args, named)
        if short in ("urljoin", "urljoin"):
            return self.urljoin(args)
        if short in ("quote", "quote_plus"):
            return args[0]
        if short == "BasicAuth" and len(args) >= 1:
            return Seq([Lit("basic"), args[0], args[1] if len(args) > 1 else named.get("password", Lit(""))])
        if short == "FormData":
            form = Form()
            if args and isinstance(args[0], Map):
                form.fields += [(k, v, {}) for k, v in args[0].items]
            return form
        if short == "get_var" and args and isinstance(args[0], Lit):
            if args[0].value in self.shared:
                return self.shared[args[0].value]
            raise Cannot("no fixture sets the variable %s" % args[0].value)
        if short == "set_var" and len(args) == 2 and isinstance(args[0], Lit):
            if isinstance(args[1], FromReply):
                args[1].name = str(args[0].value)
                args[1] = Ex(self.captured(args[1]))
            self.shared[args[0].value] = args[1]
            return Lit(None)
        if name == "print" or module in ("logging", "logger", "log", "LOG"):
            return Lit(None)
        raise Cannot("the function %s" % name)

    def random(self, short, args):
        texts = [self.expr(a) for a in args]
        if short == "randint" and len(args) == 2:
            return Ex("randint(%s)" % ", ".join(texts), "num", True, True)
        if short == "randrange" and args:
            low = "0" if len(args) == 1 else texts[0]
            high = args[min(len(args) - 1, 1)]
            if len(args) > 2:
                raise Cannot("random.randrange with a step")
            top = str(high.value - 1) if isinstance(high, Lit) else self.operand(high) + " - 1"
            return Ex("randint(%s, %s)" % (low, top), "num", True, True)
        if short == "random" and not args:
            return Ex("randfloat(0, 1)", "num", True, True)
        if short == "uniform" and len(args) == 2:
            return Ex("randfloat(%s)" % ", ".join(texts), "num", True, True)
        if short in ("choice", "SystemRandom") and len(args) == 1:
            if isinstance(args[0], Range):
                raise Cannot("random.choice of a range: random.randint says the same")
            return Ex("choice(%s)" % texts[0], "any", True, True)
        raise Cannot("random.%s" % short)

    def builtin(self, name, args, named):
        v = args[0] if args else None
        if name in ("json.dumps", "dumps"):
            return Dumped(v)
        if name == "range":
            low, high = (Lit(0), args[0]) if len(args) == 1 else (args[0], args[1])
            if len(args) > 2 or not isinstance(low, Lit):
                raise Cannot("a range of this kind")
            if isinstance(high, Lit):
                return Seq([Lit(i) for i in range(low.value, min(high.value, low.value + MAX_UNROLLED * 5))])
            count = self.expr(high) if low.value == 0 else "%s - %d" % (self.operand(high), low.value)
            return Range(low.value, count)
        if name in ("list", "tuple") and args:
            return v
        if name == "dict":
            return Map((list(v.items) if isinstance(v, Map) else []) + [(Lit(k), x) for k, x in named.items()])
        if name == "len" and isinstance(v, FromReply):
            return FromReply(v.step, "len(%s)" % v.text)
        if isinstance(v, Lit):
            try:
                return Lit({"str": str, "int": int, "float": float, "repr": repr, "len": len, "round": round}[name](v.value))
            except Exception:
                raise Cannot("%s of %r" % (name, v.value))
        if name == "str":
            return self.join(Lit(""), v)
        if isinstance(v, Env) and name in ("int", "float"):
            if isinstance(v.default, str):
                try:
                    self.variables[v.name] = int(v.default) if name == "int" else float(v.default)
                    if self.variables[v.name] == int(self.variables[v.name]):
                        self.variables[v.name] = int(self.variables[v.name])
                except ValueError:
                    pass
            if v.name in STANDARD:
                raise Cannot("%s of %s" % (name, v.name))
            return Ex(v.name, "num")
        if name in ("int", "float", "round", "len", "min", "max"):
            return Ex("%s(%s)" % (name, ", ".join(self.expr(a) for a in args)), "num", True, self.draws(v))
        raise Cannot("the function %s" % name)

    def urljoin(self, args):
        base, rest = args[0], args[1] if len(args) > 1 else Lit("")
        if isinstance(rest, Lit):
            text = str(rest.value)
            rest = Lit("/" + text.lstrip("/"))
        elif isinstance(rest, Parts) and isinstance(rest.items[0], Lit):
            rest = Parts([Lit("/" + rest.items[0].value.lstrip("/"))] + rest.items[1:])
        else:
            rest = self.join(Lit("/"), rest)
        if isinstance(base, Lit) and isinstance(base.value, str):
            base = Lit(base.value.rstrip("/"))
        return self.join(base, rest)

    def method(self, owner, attr, node, scope):
        if isinstance(owner, Session):
            return self.session(attr, node, scope)
        args = [self.eval(a, scope) for a in node.args]
        named = {k.arg: self.eval(k.value, scope) for k in node.keywords}
        if isinstance(owner, Reply):
            if attr == "json":
                return FromReply(owner.step, 'json("$")', "$", "data")
            if attr in ("text", "read"):
                return FromReply(owner.step, "body", None, "text")
            if attr == "raise_for_status":
                owner.step["expect"] = "2xx, 3xx"
                return Lit(None)
            if attr in ("release", "close", "wait_for_close"):
                return Lit(None)
        if isinstance(owner, FromReply) and attr == "get" and args:
            return self.item(owner, args[0])
        if isinstance(owner, Form) and attr == "add_field" and len(args) >= 2:
            owner.fields.append((args[0], args[1], named))
            return Lit(None)
        if isinstance(owner, Map) and attr == "get" and args:
            return self.item(owner, args[0])
        if isinstance(owner, (Seq, Building)) and attr == "append" and len(args) == 1:
            owner.items.append(args[0])
            return Lit(None)
        if isinstance(owner, Map) and attr == "update" and args and isinstance(args[0], Map):
            owner.items += args[0].items
            return Lit(None)
        if isinstance(owner, Lit) and isinstance(owner.value, str):
            if attr == "format":
                return self.formatted(owner.value, args, named)
            if attr == "join" and len(args) == 1:
                if isinstance(args[0], Seq):
                    items = []
                    for i, x in enumerate(args[0].items):
                        items += ([Lit(owner.value)] if i else []) + [x]
                    return self.join(Lit(""), *items)
                return Ex("join(%s, %s)" % (self.expr(args[0]), text_of(owner.value)), "str", True, True)
            if all(isinstance(a, Lit) for a in args) and attr in ("strip", "rstrip", "lstrip", "lower", "upper", "replace", "encode", "split", "startswith", "endswith"):
                out = getattr(owner.value, attr)(*[a.value for a in args])
                if isinstance(out, list):
                    return Seq([Lit(x) for x in out])
                return Lit(out.decode("utf-8") if isinstance(out, bytes) else out)
        if attr in ("startswith", "endswith") and len(args) == 1:
            word = {"startswith": "startsWith", "endswith": "endsWith"}[attr]
            options = args[0].items if isinstance(args[0], Seq) else [args[0]]
            return Test(lambda step: " || ".join("%s %s %s" % (self.operand(owner, step), word, self.expr(a, step)) for a in options), len(options) > 1)
        if attr in ("lower", "upper", "strip") and not args:
            if attr == "strip" and isinstance(owner, Env):
                return owner
            word = {"strip": "trim"}.get(attr, attr)
            if isinstance(owner, FromReply):
                return FromReply(owner.step, "%s(%s)" % (word, owner.text))
            return Ex("%s(%s)" % (word, self.expr(owner)), "str", True, self.draws(owner))
        if attr in ("rstrip", "encode") and isinstance(owner, (Env, Parts, Dumped)):
            return owner
        if attr == "get" and isinstance(owner, Name):
            return self.known(owner.name + ".get", args, named)
        raise Cannot("the method %s of something that is only known in Python" % attr)

    # Requests

    def session(self, attr, node, scope):
        args = [self.eval(a, scope) for a in node.args]
        named = {k.arg: self.eval(k.value, scope) for k in node.keywords}
        if attr == "request" and len(args) >= 2 and isinstance(args[0], Lit):
            attr, args = str(args[0].value).lower(), args[1:]
        if attr not in METHODS or not args and "url" not in named:
            raise Cannot("session.%s" % attr)
        url = args[0] if args else named.pop("url")
        step = {"method": attr.upper(), "target": "", "headers": list(self.headers), "capture": [], "check": [], "after": [], "before": [], "expect": None,
                "redirects": True, "line": node.lineno}
        step["target"] = self.target(url)
        for key, v in named.items():
            self.option(step, key, v, node)
        return Call(step)

    def target(self, url):
        items = list(url.items) if isinstance(url, Parts) else [url]
        first = items[0]
        if isinstance(first, Lit) and first.value == "" and len(items) > 1:
            items = items[1:]
            first = items[0]
        if isinstance(first, Env):
            if first.name not in BASES:
                self.note("%s stands for the target of the job here: -url says it" % first.name)
                self.variables.pop(first.name, None)
            if self.base is None and isinstance(first.default, str) and "://" in first.default:
                self.base = first.default
            items = items[1:]
        elif isinstance(first, Lit) and "://" in str(first.value):
            scheme, _, rest = first.value.partition("://")
            host, slash, rest = rest.partition("/")
            if host and (slash or len(items) == 1):
                origin = scheme + "://" + host
                if self.base is None:
                    self.base = origin
                if self.base == origin:
                    items = [Lit(slash + rest)] + items[1:]
        text = "".join(self.template(x) for x in items)
        if not text.startswith(("http://", "https://", "${")):
            text = "/" + text.lstrip("/")
        return text.replace(" ", "%20") if "${" not in text else text

    def option(self, step, key, v, node):
        if key == "headers" and isinstance(v, Map):
            for k, x in v.items:
                name = self.template(k)
                step["headers"] = [h for h in step["headers"] if h[0].lower() != name.lower()] + [[name, self.template(x)]]
        elif key == "json":
            step["json"] = self.data(v)
        elif key == "data" and isinstance(v, Map):
            step["form"] = [[self.template(k), self.template(x)] for k, x in v.items]
        elif key == "data" and isinstance(v, Form):
            step["multipart"] = [self.part(*f) for f in v.fields]
        elif key == "data" and isinstance(v, Dumped):
            typed = [h for h in step["headers"] if h[0].lower() == "content-type"]
            step["json"] = self.data(v.value)
            if not typed:
                step["headers"].append(["Content-Type", "text/plain; charset=utf-8"])
        elif key == "data":
            step["body"] = self.template(v)
        elif key == "params" and isinstance(v, Map):
            pairs = "&".join("%s=%s" % (self.template(k), self.template(x).replace(" ", "%20") if isinstance(x, Lit) else self.template(x)) for k, x in v.items)
            step["target"] += ("&" if "?" in step["target"] else "?") + pairs
        elif key == "auth" and isinstance(v, Seq) and len(v.items) == 3:
            step["auth"] = [self.template(v.items[1]), self.template(v.items[2])]
        elif key == "auth" and isinstance(v, Seq) and len(v.items) == 2:
            step["auth"] = [self.template(v.items[0]), self.template(v.items[1])]
        elif key == "allow_redirects" and isinstance(v, Lit):
            step["redirects"] = bool(v.value)
        elif key == "cookies" and isinstance(v, Map):
            step["headers"].append(["Cookie", "; ".join(self.template(k) + "=" + self.template(x) for k, x in v.items)])
        else:
            self.left += 1
            step["before"].append("not converted (the argument %s is not known here), line %d" % (key, node.lineno))

    def part(self, name, value, named):
        if isinstance(value, Dumped):
            value = Lit(json.dumps(self.plain(value.value)))
        part = {"name": self.template(name), "content": self.template(value)}
        if "filename" in named:
            part["filename"] = self.template(named["filename"])
        if "content_type" in named:
            part["type"] = self.template(named["content_type"])
        return part

    def plain(self, v):
        if isinstance(v, Lit):
            return v.value
        if isinstance(v, Seq):
            return [self.plain(x) for x in v.items]
        if isinstance(v, Map):
            return {k.value: self.plain(x) for k, x in v.items}
        raise Cannot("JSON with computed values in a part")

    def send(self, step):
        if self.steps is None:
            raise Cannot("a request outside of a function")
        if self.pending:
            step["before"] = self.pending + step["before"]
            self.pending = []
        if step not in self.steps:
            self.steps.append(step)
        return step

    # Conditions

    def condition(self, v, step):
        if isinstance(v, Test):
            return v.text(step)
        if isinstance(v, Env):
            return '%s != ""' % v.name
        if isinstance(v, Lit):
            return "true" if v.value else "false"
        if isinstance(v, Ex) and v.kind == "bool":
            return v.text
        if isinstance(v, FromReply) and v.text.startswith("status"):
            return v.text
        if isinstance(v, FromReply):
            return "%s != nil" % self.expr(v, step)
        raise Cannot("the truth of something that is only known in Python")

    def truth(self, node, scope, step):
        """A condition as an expression. step is the one whose response it is about."""
        if isinstance(node, ast.BoolOp):
            sign = " && " if isinstance(node.op, ast.And) else " || "
            return sign.join(self.bracket(x, scope, step) for x in node.values)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return "not (%s)" % self.truth(node.operand, scope, step)
        if isinstance(node, ast.Compare):
            if len(node.ops) != 1:
                raise Cannot("a comparison of more than two values")
            left, right = self.eval(node.left, scope), self.eval(node.comparators[0], scope)
            op = type(node.ops[0]).__name__
            a, b = self.operand(left, step), self.operand(right, step)
            if op in ("In", "NotIn"):
                if isinstance(right, FromReply) and right.path is not None and isinstance(left, Lit):
                    text = "%s != nil" % self.item(right, left).text
                elif isinstance(right, FromReply) or self.is_text(right):
                    text = "%s contains %s" % (b, a)
                else:
                    text = "%s in %s" % (a, b)
                return text if op == "In" else "not (%s)" % text
            sign = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Is": "==", "IsNot": "!="}.get(op)
            if sign is None:
                raise Cannot("the operator %s" % op)
            return "%s %s %s" % (a, sign, b)
        return self.condition(self.eval(node, scope), step)

    def bracket(self, node, scope, step):
        text = self.truth(node, scope, step)
        return "(%s)" % text if isinstance(node, ast.BoolOp) or " || " in text else text

    def check(self, node, scope):
        """An assertion about a response: its statuses, or a check."""
        parts = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
        for test in parts:
            step = self.steps[-1] if self.steps else None
            for name in ast.walk(test):
                if isinstance(name, (ast.Name, ast.Attribute, ast.Subscript)):
                    try:
                        v = self.eval(name, scope)
                    except Cannot:
                        continue
                    if isinstance(v, (Reply, FromReply)):
                        step = v.step
            if step is None:
                raise Cannot("an assertion before the first request")
            if self.statuses(test, scope, step):
                continue
            step["check"].append(self.truth(test, scope, step))

    def statuses(self, test, scope, step):
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or step["expect"] is not None:
            return False
        left, right = self.eval(test.left, scope), self.eval(test.comparators[0], scope)
        if isinstance(right, FromReply) and right.text == "status" and isinstance(test.ops[0], ast.Eq):
            left, right = right, left
        if not isinstance(left, FromReply) or left.text != "status":
            return False
        values = right.items if isinstance(right, Seq) and isinstance(test.ops[0], ast.In) else [right] if isinstance(test.ops[0], ast.Eq) else []
        if not values or not all(isinstance(v, Lit) and isinstance(v.value, int) and 100 <= v.value < 600 for v in values):
            return False
        step["expect"] = ", ".join(str(v.value) for v in values)
        return True

    # Statements

    def body(self, statements, scope):
        """Reads statements, and returns what they return."""
        for node in statements:
            try:
                kind = type(node).__name__
                if kind == "Return":
                    return Lit(None) if node.value is None else self.eval(node.value, scope)
                v = self.statement(node, scope)
                if v is not None:
                    return v
            except Cannot as e:
                for target in ast.walk(node):
                    if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                        scope[target.id] = Opaque("%s is not converted: %s" % (target.id, e))
                self.leave(node, str(e))
        return None

    def statement(self, node, scope):
        """Reads one statement, and returns a value if it returns from the function."""
        if isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)):
            return
        if isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Constant):
                return  # a docstring
            if self.sleep(node.value, scope):
                return
            v = self.eval(node.value, scope)
            if isinstance(v, Call):
                self.send(v.step)
            return
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is None:
                return
            v = self.eval(node.value, scope)
            for t in targets:
                self.assign(t, v, scope, node)
            return
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name):
            scope[node.target.id] = self.eval(ast.copy_location(ast.BinOp(ast.Name(node.target.id, ast.Load()), ast.Add(), node.value), node), scope)
            return
        if isinstance(node, ast.Assert):
            return self.check(node, scope)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                v = self.eval(item.context_expr, scope)
                if isinstance(v, Call):
                    v = Reply(self.send(v.step))
                elif isinstance(v, Name) or not isinstance(v, (Reply, Session)):
                    raise Cannot("a context of another kind than a request")
                if item.optional_vars is not None:
                    self.assign(item.optional_vars, v, scope, node)
            return self.body(node.body, scope)
        if isinstance(node, (ast.For, ast.AsyncFor)) and isinstance(node.target, ast.Name) and not node.orelse:
            return self.loop(node, scope)
        if isinstance(node, ast.If):
            return self.branch(node, scope)
        if isinstance(node, ast.Try):
            v = self.body(node.body, scope)
            if node.handlers:
                self.left += 1
                self.comment("not converted (an exception fails the iteration here), line %d: except" % node.handlers[0].lineno)
            after = self.body(node.finalbody, scope)
            return v if after is None else after
        raise Cannot("%s is not known here" % type(node).__name__)

    def comment(self, text):
        if self.steps:
            self.steps[-1]["after"].append(text)
        else:
            self.pending.append(text)

    def assign(self, target, v, scope, node):
        if isinstance(target, ast.Name):
            if isinstance(v, (Call, Name)) and isinstance(v, Name):
                raise Cannot("a value that is only known in Python")
            if isinstance(v, FromReply) and v.name != target.id:
                v = FromReply(v.step, v.text, v.path, target.id)
            if self.draws(v) and self.steps is not None and self.uses(target.id) > 1:
                self.comment("%s is drawn anew at each of its places, line %d" % (target.id, node.lineno))
            if isinstance(v, Seq):
                v = Seq(list(v.items))
            scope[target.id] = v
        elif isinstance(target, ast.Attribute) and isinstance(self.eval(target.value, scope), Session):
            self.shared["session." + target.attr] = v
        elif isinstance(target, ast.Subscript) and isinstance(self.eval(target.value, scope), Map):
            index = target.slice
            if type(index).__name__ == "Index":
                index = index.value
            owner, k = self.eval(target.value, scope), self.eval(index, scope)
            owner.items = [(a, b) for a, b in owner.items if not (isinstance(a, Lit) and isinstance(k, Lit) and a.value == k.value)] + [(k, v)]
        elif isinstance(target, (ast.Tuple, ast.List)) and isinstance(v, Seq) and len(v.items) == len(target.elts):
            for t, x in zip(target.elts, v.items):
                self.assign(t, x, scope, node)
        else:
            raise Cannot("an assignment of this kind")

    def uses(self, name):
        if self.function is None:
            return 0
        return sum(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in ast.walk(self.function))

    def loop(self, node, scope):
        over = self.eval(node.iter, scope)
        if isinstance(over, Seq):
            if len(over.items) > MAX_UNROLLED:
                raise Cannot("a loop of more than %d rounds" % MAX_UNROLLED)
            for x in over.items:
                scope[node.target.id] = x
                v = self.body(node.body, scope)
                if v is not None:
                    return v
            return None
        # A loop that does nothing but append to one list is what map is.
        call = node.body[0].value if len(node.body) == 1 and isinstance(node.body[0], ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "append" and isinstance(call.func.value, ast.Name) and len(call.args) == 1:
            owner = scope.get(call.func.value.id)
            if isinstance(owner, Seq) and not owner.items:
                scope[call.func.value.id] = self.mapped(node.target.id, over, lambda inner: self.eval(call.args[0], inner), scope)
                return None
        raise Cannot("a loop whose number of rounds is computed")

    def branch(self, node, scope):
        test = self.eval(node.test, scope) if not isinstance(node.test, (ast.Compare, ast.BoolOp)) else None
        if isinstance(test, Lit):
            return self.body(node.body if test.value else node.orelse, scope)
        if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
            left, right = self.eval(node.test.left, scope), self.eval(node.test.comparators[0], scope)
            if isinstance(left, Lit) and isinstance(right, Lit) and isinstance(node.test.ops[0], (ast.Eq, ast.NotEq)):
                same = left.value == right.value
                return self.body(node.body if same == isinstance(node.test.ops[0], ast.Eq) else node.orelse, scope)
        raise Cannot("a condition within a function")

    def sleep(self, node, scope):
        if isinstance(node, ast.Await):
            node = node.value
        if not isinstance(node, ast.Call):
            return False
        try:
            f = self.eval(node.func, scope)
        except Cannot:
            return False
        if not isinstance(f, Name) or f.name not in ("asyncio.sleep", "sleep", "time.sleep") or not node.args:
            return False
        v = self.eval(node.args[0], scope)
        if not self.steps:
            raise Cannot("a pause before the first request")
        text = None
        if isinstance(v, Lit) and isinstance(v.value, (int, float)) and v.value >= 0:
            text = duration(v.value)
        elif isinstance(v, Ex) and v.text.startswith(("randfloat(", "randint(")):
            low, _, high = v.text[v.text.index("(") + 1:-1].partition(", ")
            try:
                text = "%s..%s" % (duration(float(low)), duration(float(high)))
            except ValueError:
                pass
        if text is None:
            raise Cannot("a pause that is computed")
        if text != "0s":
            self.steps[-1]["think"] = text
        return True

    # The file

    def run(self):
        tree = ast.parse(self.source)
        self.function = None
        self.module(tree.body, None)
        for f, kind, when in self.fixtures:
            if kind in ("global_setup", "setup", "setup_session"):
                self.fixture(f, kind)
            elif len([n for n in f.body if not isinstance(n, ast.Pass) and not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]) > 0:
                self.leave(f, "the fixture %s" % kind)
        for f, decorator, when in self.scenarios:
            self.task(f, decorator, when)
        return {
            "variables": [[k, v] for k, v in self.variables.items()], "notes": self.notes, "tasks": self.tasks, "setup": self.setup, "vu_setup": self.vu_setup,
            "left": self.left, "base": self.base or "", "rest": self.pending,
        }

    scenarios = None

    def module(self, statements, when):
        if self.scenarios is None:
            self.scenarios = []
        for node in statements:
            try:
                self.top(node, when)
            except Cannot as e:
                for target in ast.walk(node):
                    if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                        self.names[target.id] = Opaque("%s is not converted: %s" % (target.id, e))
                self.leave(node, str(e))

    def top(self, node, when):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for d in node.decorator_list:
                call = d if isinstance(d, ast.Call) else None
                name = (call.func if call else d)
                name = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
                if name == "scenario":
                    self.scenarios.append((node, call, when))
                    return
                if name in FIXTURES:
                    self.fixtures.append((node, name, when))
                    return
            self.names[node.name] = Func(node)
        elif isinstance(node, ast.Import):
            for a in node.names:
                if a.asname:
                    self.names[a.asname] = Name(a.name)
        elif isinstance(node, ast.ImportFrom):
            for a in node.names:
                if node.module in ("random", "os", "asyncio", "time", "uuid", "json", "urllib.parse"):
                    self.names[a.asname or a.name] = Name(node.module.split(".")[0] + "." + a.name)
                elif a.asname:
                    self.names[a.asname] = Name(a.name)
        elif isinstance(node, ast.If):
            test = self.truth(node.test, {}, None)
            if test == '__name__ == "__main__"':
                return
            both = lambda extra: extra if when is None else "(%s) && %s" % (when, extra)
            before = dict(self.names)
            self.module(node.body, both("(%s)" % test if when else test))
            if any(isinstance(n, ast.Assign) for n in node.body) and node.orelse == [] and not any(n.decorator_list for n in node.body if hasattr(n, "decorator_list")):
                self.names = before
                raise Cannot("an assignment that depends on a condition")
            if node.orelse:
                self.module(node.orelse, both("not (%s)" % test))
        elif isinstance(node, ast.ClassDef):
            raise Cannot("a class")
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            self.statement(node, self.names)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) or isinstance(node, ast.Pass):
            pass
        elif isinstance(node, ast.Expr):
            self.eval(node.value, self.names)
        elif isinstance(node, ast.Try):
            self.module(node.body, when)
        else:
            raise Cannot("%s is not known here" % type(node).__name__)

    def task(self, f, decorator, when):
        task = {"name": f.name, "weight": "1", "when": when, "line": f.lineno, "comments": []}
        self.steps, self.function = [], f
        try:
            args = list(decorator.args) if decorator else []
            named = {k.arg: k.value for k in decorator.keywords} if decorator else {}
            weight = args[0] if args else named.get("weight")
            if weight is not None:
                v = self.eval(weight, {})
                if isinstance(v, Env):  # Python would refuse a text
                    v = self.known("float", [v], {})
                task["weight"] = self.expr(v)
            if "name" in named:
                v = self.eval(named["name"], {})
                if isinstance(v, Lit):
                    task["name"] = str(v.value)
        except Cannot as e:
            self.left += 1
            task["comments"].append("not converted (the weight: %s), line %d" % (e, f.lineno))
        scope = {}
        parameters = f.args.args
        if parameters:
            scope[parameters[0].arg] = Session()
        waiting, self.pending = self.pending, []
        self.body(f.body, scope)
        if not self.steps:
            self.left += 1
            self.pending = waiting + ["not converted (it makes no request), line %d: %s" % (f.lineno, f.name)] + self.pending
            self.steps = None
            return
        task["comments"] = waiting + task["comments"] + self.pending
        self.pending = []
        task["steps"], self.steps = self.steps, None
        self.tasks.append(task)

    def fixture(self, f, kind):
        self.steps, self.function = [], f
        scope = {}
        if kind == "setup_session" and len(f.args.args) > 1:
            scope[f.args.args[1].arg] = Session()
        if f.args.args:
            scope[f.args.args[0].arg] = Ex("vu()", "num") if kind != "global_setup" else Opaque("the arguments of Molotov")
        try:
            v = self.body(f.body, scope)
            if kind == "setup" and isinstance(v, Map):
                for k, x in v.items:
                    if isinstance(k, Lit) and k.value == "headers" and isinstance(x, Map):
                        self.headers += [[self.template(a), self.template(b)] for a, b in x.items]
                    else:
                        self.left += 1
                        self.pending.append("not converted (what the fixture %s returns besides headers), line %d" % (f.name, f.lineno))
        except Cannot as e:
            self.steps = None
            self.leave(f, str(e))
            return
        (self.setup if kind == "global_setup" else self.vu_setup).extend(self.steps)
        self.steps = None


class Range:
    def __init__(self, low, count):
        self.low, self.count = low, count


class Building(Seq):
    pass


class Dumped:
    """What json.dumps makes of a value."""

    def __init__(self, value):
        self.value = value


class Test:
    def __init__(self, text, several):
        self.text, self.several = text, several


def duration(seconds):
    if seconds == int(seconds):
        return "%ds" % int(seconds)
    return "%gms" % round(seconds * 1000, 3)


RESERVED = {"in", "or", "and", "not", "let", "if", "else", "true", "false", "nil", "null", "matches", "contains", "status", "body", "duration", "json", "header", "cookie", "text", "value"}


def main():
    try:
        source = sys.stdin.buffer.read().decode("utf-8-sig")
        out = File(source).run()
    except SyntaxError as e:
        out = {"error": "line %s: %s" % (e.lineno, e.msg)}
    except (UnicodeDecodeError, ValueError) as e:
        out = {"error": str(e)}
    except RecursionError:
        out = {"error": "it is nested too deep"}
    sys.stdout.buffer.write(json.dumps(out).encode("utf-8"))


main()
