// The copy button of a transcript copies its commands and leaves the output; that of a
// step copies the lines to type. It listens before mdBook's own listener does.
document.addEventListener('click', (event) => {
    const button = event.target.closest('.transcript .clip-button, .hunk .clip-button');
    const block = button && button.closest('.transcript, .hunk');
    const lines = block ? Array.from(block.querySelectorAll('.command, ins')) : [];
    if (lines.length === 0) {
        return;
    }
    event.stopImmediatePropagation();
    const text = lines.map((line) => line.textContent.replace(/\n$/, '')).join('\n');
    // Only a secure context has a clipboard: https, or a page from this machine.
    const copied = navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject();
    copied.catch(() => copyBySelecting(text, button)).then(() => {
        button.firstChild.innerText = 'Copied!';
        button.classList.add('tooltipped');
    }, () => {
        button.firstChild.innerText = 'Not copied';
        button.classList.add('tooltipped');
    });
}, true);

// Where lines only go, there is nothing to copy.
document.querySelectorAll('.hunk').forEach((hunk) => {
    if (!hunk.querySelector('ins')) {
        hunk.querySelectorAll('.clip-button').forEach((button) => button.remove());
    }
});

// The way before there was navigator.clipboard.
function copyBySelecting(text, button) {
    const field = document.createElement('textarea');
    field.value = text;
    field.style = 'position: fixed; top: 0; opacity: 0';
    document.body.append(field);
    field.select();
    const copied = document.execCommand('copy');
    field.remove();
    button.focus();
    if (!copied) {
        throw new Error('the browser does not copy');
    }
}

// mdBook's button for the table of contents is a label, which no key reaches. A real button
// takes its place, and passes on what is done to it.
const label = document.getElementById('mdbook-sidebar-toggle');
if (label) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = label.className;
    button.title = label.title;
    button.append(...label.childNodes);
    const say = () => ['aria-label', 'aria-controls', 'aria-expanded'].forEach((name) => {
        button.setAttribute(name, label.getAttribute(name));
    });
    say();
    new MutationObserver(say).observe(label, { attributes: true });
    button.addEventListener('click', () => label.click());
    label.before(button);
    label.style.display = 'none';
}

// The bar at the top is a landmark.
document.getElementById('mdbook-menu-bar')?.setAttribute('role', 'banner');

// The field of the search has a name, not a hint alone.
document.getElementById('mdbook-searchbar')?.setAttribute('aria-label', 'Search this book');

// A table that is wider than the page scrolls, also by keyboard.
const tables = [...document.querySelectorAll('.table-wrapper')];
const reach = () => tables.forEach((table) => {
    if (table.scrollWidth > table.clientWidth) {
        table.tabIndex = 0;
    } else {
        table.removeAttribute('tabindex');
    }
});
reach();
addEventListener('resize', reach);

// What a term means goes away by Escape, until the next time.
document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
        document.querySelectorAll('.term:is(:hover, :focus)').forEach((term) => {
            const speak = () => term.classList.remove('silent');
            term.classList.add('silent');
            term.addEventListener('blur', speak, { once: true });
            term.addEventListener('mouseleave', speak, { once: true });
        });
    }
});

// The index of mdBook's search leaves out words such as `for`, and knows others without
// their endings. So the pages that have the very words come first: those that have them in
// their headings, and of the words of Rust and of the shell those that use them.
const KEYWORDS = {
    for: /\bfor\s+[\w(][\w(), ]*\s+in\s+[^.;]{1,60}?(?:\{|;\s*do\b)/g,
    while: /\bwhile\s+[^.;]{1,60}?(?:\{|;\s*do\b)/g,
    if: /\bif\s+[^.;]{1,60}?(?:\{|;\s*then\b)/g,
    else: /\}\s+else\s+(?:\{|if\b)/g,
    let: /\blet\s+(?:mut\s+)?[\w(]+/g,
};

function exactly(documents, query) {
    const words = query.split(/\s+/).filter((word) => word);
    const patterns = words.map((word) => {
        const literal = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
        // In small letters it may be anything; `EMFILE` is meant as it stands.
        const flags = word === word.toLowerCase() ? 'gi' : 'g';
        return new RegExp(`(?<!\\w)${literal}(?!\\w)`, flags);
    });
    const count = (text, pattern) => (text.match(pattern) || []).length;
    const found = [];
    for (const [ref, doc] of Object.entries(documents)) {
        let score = 0;
        for (const [at, pattern] of patterns.entries()) {
            const [title, body] = [count(doc.title, pattern), count(doc.body, pattern)];
            const used = KEYWORDS[words[at]] ? count(doc.body, KEYWORDS[words[at]]) : 0;
            if (title + body === 0) {
                score = 0;
                break;
            }
            score += 1000 * used + 30 * title + Math.min(body, 20);
        }
        if (score > 0) {
            found.push({ ref, score, doc });
        }
    }
    return found.sort((one, other) => other.score - one.score);
}

if (window.elasticlunr) {
    const { load } = elasticlunr.Index;
    elasticlunr.Index.load = (data) => {
        const index = load.call(elasticlunr.Index, data);
        const search = index.search.bind(index);
        index.search = (query, options) => {
            const found = exactly(index.documentStore.docs, query);
            const seen = new Set(found.map(({ ref }) => ref));
            return [...found, ...search(query, options).filter(({ ref }) => !seen.has(ref))];
        };
        return index;
    };
}

// A chapter whose end has been seen is marked in the table of contents. The browser keeps
// which; nobody is told.
const READ = 'course-read';
const pathOf = (url) => new URL(url, location.href).pathname
    .replace(new URL(path_to_root || './', location.href).pathname, '')
    .replace(/^(index\.html)?$/, 'introduction.html');

function chaptersRead() {
    try {
        const read = JSON.parse(localStorage.getItem(READ));
        return new Set(Array.isArray(read) ? read : []);
    } catch {
        return new Set(); // no storage, or something else in it
    }
}

function markRead() {
    const read = chaptersRead();
    document.querySelectorAll('#mdbook-sidebar .chapter a[href]').forEach((link) => {
        link.classList.toggle('read', read.has(pathOf(link.href)));
    });
}

const end = document.querySelector('main > :last-child');
if (end && document.querySelector('#mdbook-sidebar .chapter a.active')) {
    new IntersectionObserver((entries, observer) => {
        if (entries.some((entry) => entry.isIntersecting)) {
            observer.disconnect();
            try {
                const read = chaptersRead().add(pathOf(location.href));
                localStorage.setItem(READ, JSON.stringify([...read]));
            } catch {
                return; // no storage
            }
            markRead();
        }
    }).observe(end);
}
markRead();

// The page to print stands open.
if (document.querySelector('meta[name="robots"][content="noindex"]')) {
    document.querySelectorAll('details').forEach((details) => details.open = true);
}

// On paper nothing can be opened.
let opened = [];
addEventListener('beforeprint', () => {
    opened = [...document.querySelectorAll('details:not([open])')];
    opened.forEach((details) => details.open = true);
});
addEventListener('afterprint', () => opened.forEach((details) => details.open = false));
