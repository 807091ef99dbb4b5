"use strict";
// What all pages share: data scripts hand in their values here, elements are made from text only, figures get their words.

const site = (() => {
  const root = document.body.dataset.root;
  const received = new Map();
  const waiting = new Map();

  const key = (kind, value) => (value && value.id ? `${kind} ${value.id}` : kind);

  /** A data script hands in its value. */
  function receive(kind, value) {
    const name = key(kind, value);
    received.set(name, value);
    for (const resolve of waiting.get(name) ?? []) resolve(value);
    waiting.delete(name);
  }

  /** A value that a script of this page hands in, or has handed in. */
  function given(name) {
    if (received.has(name)) return Promise.resolve(received.get(name));
    return new Promise((resolve) => waiting.set(name, [...(waiting.get(name) ?? []), resolve]));
  }

  /** A value whose script is loaded now: a page opened from disk can't fetch. */
  function load(kind, id, file) {
    const name = `${kind} ${id}`;
    if (!received.has(name) && !waiting.has(name)) {
      const script = document.createElement("script");
      script.src = `${root}data/${file}.js`;
      document.head.append(script);
    }
    return given(name);
  }

  /** An element; children are elements or text, and text is never read as HTML. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  const symbols = { ...JSON.parse(document.body.dataset.symbols), "left-out": "·" }; // not chosen to run: nobody asked

  /** An outcome by colour, symbol and word. */
  function badge(kind, words) {
    const symbol = make("span", { class: "symbol", "aria-hidden": "true" }, symbols[kind]);
    return make("span", { class: `badge ${kind}` }, symbol, words);
  }

  /** A figure with three digits. */
  function figure(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "string") return { nan: "NaN", inf: "∞", "-inf": "-∞" }[value] ?? value;
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e5)) return value.toExponential(2).replace(/\.?0+e/, "e").replace(/e([+-])(\d)$/, "e$1" + "0" + "$2");
    return String(Number(value.toPrecision(3)));
  }

  const seconds = (value) => (value === null ? "" : value >= 1 ? `${figure(value)} s` : `${figure(value * 1000)} ms`);
  const memory = (value) => (value === null ? "" : value >= 1e9 ? `${figure(value / 1e9)} GB` : `${figure(value / 1e6)} MB`);

  const BREAKS = /(?<=[_/,:=-])|(?<=\.)(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])/;

  /** A name that is broken, where it must be, between its words only. */
  const breakable = (name) => name.split(BREAKS).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));

  /** The length of the longest word of a name, in characters. */
  const longestWord = (name) => Math.max(0, ...name.split(BREAKS).flatMap((part) => part.split(/\s/)).map((part) => part.length));

  return { root, receive, given, load, make, breakable, longestWord, badge, symbols, figure, seconds, memory };
})();
