import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/views.css";
import { render } from "preact";
import { App } from "./app";
import { connect } from "./live";

const place = document.getElementById("app")!;
place.textContent = "";
render(<App />, place);
connect();
